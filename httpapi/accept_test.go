package httpapi

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
)

func TestMetricsForm(t *testing.T) {
	t.Parallel()
	const json, text = "json", "text/plain"
	const openMetrics, protobuf = "application/openmetrics-text", "application/vnd.google.protobuf"
	for _, tt := range []struct {
		name   string
		accept []string
		want   string
	}{
		{"none", nil, text},
		{"curl", []string{"*/*"}, text},
		{"a browser", []string{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}, text},
		{"text", []string{"text/plain"}, text},
		{"text of some character set", []string{"text/plain; charset=utf-8"}, text},
		{"JSON", []string{"application/json"}, json},
		{"JSON of some character set, any case", []string{"Application/JSON; charset=utf-8"}, json},
		{"HTTP libraries", []string{"application/json, text/plain, */*"}, json},
		{"JSON or else anything", []string{"application/json, */*;q=0.5"}, json},
		{"anything in JSON's class", []string{"application/*"}, text},
		{"Prometheus 2", []string{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75," +
			"text/plain;version=0.0.4;q=0.5,*/*;q=0.1"}, openMetrics},
		{"Prometheus 3", []string{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6," +
			"application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4," +
			"text/plain;version=0.0.4;q=0.3,*/*;q=0.2"}, openMetrics},
		{"Prometheus with native histograms", []string{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;" +
			"encoding=delimited;q=0.7,*/*;q=0.1"}, protobuf},
		{"the text format", []string{"text/plain;version=0.0.4"}, text},
		{"any case, spaces", []string{" Text/Plain ; Version=0.0.4 "}, text},
		{"in a second line", []string{"*/*", "application/openmetrics-text"}, openMetrics},
		{"with empty elements", []string{", ,application/json,"}, json},
		{"a comma in quotes", []string{`text/html;title="a,b", application/json`}, json},
		{"refused by weight", []string{"application/openmetrics-text;q=0"}, text},
		{"JSON refused by weight", []string{"application/json;q=0"}, text},
		{"JSON weighs more", []string{"application/json,application/openmetrics-text;q=0.5"}, json},
		{"JSON weighs less", []string{"application/json;q=0.4,application/openmetrics-text;q=0.5"}, openMetrics},
		{"a broken weight", []string{"application/json;q=x"}, text},
		{"another protobuf", []string{"application/vnd.google.protobuf"}, text},
		{"rubbish", []string{";;,,/=\"", "\x00"}, text},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, query := range []struct {
				query string
				json  bool
				want  string
			}{
				{"", tt.want == json, tt.want},
				{"?format=json", true, json},
				{"?format=prometheus", false, strings.Replace(tt.want, json, "", 1)}, // any of its formats
			} {
				r := httptest.NewRequest("GET", "/metrics"+query.query, nil)
				r.Header["Accept"] = tt.accept
				f, ok := metricsForm(r)
				if !ok || f.json != query.json || !f.json && !strings.HasPrefix(string(f.text), query.want) {
					t.Errorf("%q: %+v %t, want %s", query.query, f, ok, query.want)
				}
			}
		})
	}
	if _, ok := metricsForm(httptest.NewRequest("GET", "/metrics?format=xml", nil)); ok {
		t.Error("xml is known")
	}
}

func FuzzMetricsForm(f *testing.F) {
	f.Add("text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
	f.Add("application/json;q=NaN, application/openmetrics-text;q=1e400")
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Header["Accept"] = []string{header, "application/json"}
		if f, ok := metricsForm(r); !ok || !f.json {
			t.Errorf("%q weighs more than JSON at 1", header)
		}
		r.Header["Accept"] = []string{header}
		if f, _ := metricsForm(r); !f.json && f.text.FormatType() == expfmt.TypeUnknown {
			t.Errorf("%q gives %q", header, f.text)
		}
	})
}

func TestElements(t *testing.T) {
	t.Parallel()
	got := elements([]string{` a ,,"b,\",c" ; d="e`, "\tf", ","})
	if want := []string{"a", `"b,\",c" ; d="e`, "f"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAcceptsGzip(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "br, gzip;q=0.5": true, "gzip;q=0": false, "*": true, "identity": false,
		"*, gzip;q=0": false, "gzip ; q=0.000": false, "deflate": false, "*;q=0": false, "x-gzip": true, "gzip;q": false, "a/b/c, gzip": true,
	} {
		if got := acceptsGzip(http.Header{"Accept-Encoding": {header}}); got != want {
			t.Errorf("%q: %t", header, got)
		}
	}
}
