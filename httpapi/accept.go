package httpapi

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// wantsPrometheus says whether a request for /metrics is a scrape: it asks for it (?format=prometheus), or its Accept
// header names what only Prometheus reads. "text/plain" without a version and "*/*" are what browsers, curl and
// HTTP libraries send, and get JSON. ok is false for an unknown format.
func wantsPrometheus(r *http.Request) (yes, ok bool) {
	switch r.URL.Query().Get("format") {
	case "prometheus":
		return true, true
	case "json":
		return false, true
	case "":
		return accepts(r.Header.Values("Accept")), true
	}
	return false, false
}

// accepts weighs the media ranges of RFC 9110 section 12.5.1: the best one of Prometheus against application/json.
func accepts(headers []string) bool {
	var prometheus, json float64
	for _, r := range strings.Split(strings.Join(headers, ","), ",") {
		kind, params, err := mime.ParseMediaType(r)
		if err != nil {
			continue
		}
		switch {
		case kind == "application/json":
			json = max(json, quality(params))
		case scrapeType(kind, params):
			prometheus = max(prometheus, quality(params))
		}
	}
	return prometheus > json
}

func scrapeType(kind string, params map[string]string) bool {
	switch kind {
	case "application/openmetrics-text":
		return true
	case "text/plain":
		return params["version"] != ""
	case "application/vnd.google.protobuf":
		return params["proto"] == "io.prometheus.client.MetricFamily"
	}
	return false
}

// quality is the weight of a media range, 1 when it has none (RFC 9110 section 12.4.2).
func quality(params map[string]string) float64 {
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
