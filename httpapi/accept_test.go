package httpapi

import (
	"net/http/httptest"
	"testing"
)

func TestAccepts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		accept []string
		want   bool
	}{
		{"none", nil, false},
		{"curl", []string{"*/*"}, false},
		{"browser", []string{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}, false},
		{"HTTP libraries", []string{"application/json, text/plain, */*"}, false},
		{"text", []string{"text/plain"}, false},
		{"Prometheus 2", []string{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75," +
			"text/plain;version=0.0.4;q=0.5,*/*;q=0.1"}, true},
		{"Prometheus 3", []string{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6," +
			"application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4," +
			"text/plain;version=0.0.4;q=0.3,*/*;q=0.2"}, true},
		{"Prometheus with native histograms", []string{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;" +
			"encoding=delimited;q=0.7,*/*;q=0.1"}, true},
		{"the text format", []string{"text/plain;version=0.0.4"}, true},
		{"any case, spaces", []string{" Text/Plain ; Version=0.0.4 "}, true},
		{"in a second header", []string{"*/*", "application/openmetrics-text"}, true},
		{"refused by weight", []string{"application/openmetrics-text;q=0"}, false},
		{"JSON weighs more", []string{"application/json,application/openmetrics-text;q=0.5"}, false},
		{"JSON weighs less", []string{"application/json;q=0.4,application/openmetrics-text;q=0.5"}, true},
		{"broken weight", []string{"application/openmetrics-text;q=x"}, false},
		{"another protobuf", []string{"application/vnd.google.protobuf"}, false},
		{"rubbish", []string{";;,,/=\"", "\x00"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := accepts(tt.accept); got != tt.want {
				t.Errorf("got %t", got)
			}
			r := httptest.NewRequest("GET", "/metrics?format=prometheus", nil)
			r.Header["Accept"] = tt.accept
			if yes, ok := wantsPrometheus(r); !yes || !ok {
				t.Error("?format=prometheus is not heeded")
			}
		})
	}
}

func FuzzAccepts(f *testing.F) {
	f.Add("text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
	f.Add("application/json;q=NaN, application/openmetrics-text;q=1e400")
	f.Fuzz(func(t *testing.T, header string) {
		if accepts([]string{header, "application/json"}) {
			t.Errorf("%q weighs more than JSON at 1", header)
		}
	})
}
