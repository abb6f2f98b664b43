package httpapi

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/common/expfmt"
)

// form is how /metrics is answered.
type form struct {
	json bool
	text expfmt.Format // else
}

// metricsForm says what a request for /metrics asks for, by ?format= or its Accept header: JSON where that is named and
// no format of Prometheus counts more, otherwise Prometheus's text or one of its other formats. Scrapers, curl and
// browsers get text; of these only HTTP libraries for programs name JSON. ok is false for an unknown ?format=.
func metricsForm(r *http.Request) (f form, ok bool) {
	ranges := mediaRanges(r.Header.Values("Accept"))
	switch strings.ToLower(r.URL.Query().Get("format")) {
	case "json":
		return form{json: true}, true
	case "":
		if ranges.wantJSON() {
			return form{json: true}, true
		}
	case "prometheus":
	default:
		return form{}, false
	}
	known := expfmt.DefaultOpenMetricsAcceptedFormats()
	return form{text: expfmt.NegotiateAccept(http.Header{"Accept": {ranges.header()}}, known...)}, true
}

// accepted are the media ranges of an Accept header (RFC 9110 section 12.5.1), without those of weight 0.
type accepted []mediaRange

type mediaRange struct {
	text   string // as it came
	kind   string
	weight float64
}

// mediaRanges reads a header that may have come in several lines. Parts that are not media ranges are left out.
func mediaRanges(lines []string) (all accepted) {
	for _, element := range elements(lines) {
		kind, params, err := mime.ParseMediaType(element)
		if err != nil {
			continue
		}
		if q := weight(params); q > 0 {
			all = append(all, mediaRange{text: element, kind: kind, weight: q})
		}
	}
	return all
}

// wantJSON weighs application/json against what else is named. At equal weights JSON wins: a client that prefers
// something else does not name it. */* names nothing.
func (all accepted) wantJSON() bool {
	var json, other float64
	for _, r := range all {
		switch r.kind {
		case "application/json":
			json = max(json, r.weight)
		case "application/openmetrics-text", "text/plain", "application/vnd.google.protobuf":
			other = max(other, r.weight)
		}
	}
	return json > 0 && json >= other
}

// header is the header in one line.
func (all accepted) header() string {
	var texts []string
	for _, r := range all {
		texts = append(texts, r.text)
	}
	return strings.Join(texts, ",")
}

// acceptsGzip reads Accept-Encoding (RFC 9110 section 12.5.3).
func acceptsGzip(h http.Header) bool {
	any := false
	for _, element := range elements(h.Values("Accept-Encoding")) {
		// An encoding with its weight has the form of a media type without the slash.
		coding, params, err := mime.ParseMediaType(element)
		if err != nil {
			continue
		}
		switch coding {
		case "gzip", "x-gzip":
			return weight(params) > 0
		case "*":
			any = weight(params) > 0
		}
	}
	return any
}

// elements are those of a list (RFC 9110 section 5.6.1), which may come in several lines: empty ones are left out, and a
// comma in quotes separates nothing.
func elements(lines []string) (all []string) {
	quoted, escaped := false, false
	separates := func(r rune) bool {
		switch {
		case escaped:
			escaped = false
		case quoted && r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
		}
		return r == ',' && !quoted
	}
	for _, line := range lines {
		quoted, escaped = false, false
		for _, element := range strings.FieldsFunc(line, separates) {
			if element = strings.Trim(element, " \t"); element != "" {
				all = append(all, element)
			}
		}
	}
	return all
}

// weight is that of a media range, 1 when it has none (RFC 9110 section 12.4.2).
func weight(params map[string]string) float64 {
	q, given := params["q"]
	if !given {
		return 1
	}
	f, err := strconv.ParseFloat(q, 64)
	if err != nil || !(f >= 0 && f <= 1) {
		return 0
	}
	return f
}
