package httpapi

import (
	"io"
	"testing"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	const promText = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
	for _, tt := range []struct {
		method, target string
		status         int
		allow, kind    string
	}{
		{"GET", "/health", 200, "", "application/json"},
		{"HEAD", "/health", 200, "", "application/json"},
		{"GET", "/health?deep=0", 200, "", "application/json"},
		{"GET", "/health?deep=1", 501, "", "application/json"},
		{"GET", "/health?deep=maybe", 400, "", "application/json"},
		{"OPTIONS", "/health", 204, allowed, ""},
		{"GET", "/health/ready", 200, "", "application/json"},
		{"HEAD", "/health/ready", 200, "", "application/json"},
		{"GET", "/health/ready?deep=1", 501, "", "application/json"},
		{"GET", "/health/live", 200, "", "application/json"},
		{"HEAD", "/health/live", 200, "", "application/json"},
		{"POST", "/health/live", 405, allowed, "application/json"},
		{"GET", "/health/live/", 404, "", "application/json"},
		{"POST", "/health", 405, allowed, "application/json"},
		{"GET", "/metrics", 200, "", promText},
		{"HEAD", "/metrics", 200, "", promText},
		{"GET", "/metrics?format=json", 200, "", "application/json"},
		{"GET", "/metrics?format=JSON", 200, "", "application/json"},
		{"GET", "/metrics?format=xml", 400, "", "application/json"},
		{"GET", "/metrics?format=prometheus", 200, "", promText},
		{"DELETE", "/metrics", 405, allowed, "application/json"},
		{"GET", "/", 404, "", "application/json"},
		{"POST", "/", 404, "", "application/json"},
		{"GET", "/health/", 404, "", "application/json"},
		{"GET", "//health", 404, "", "application/json"},
		{"GET", "/Health", 404, "", "application/json"},
		{"GET", "/debug/pprof/", 404, "", "application/json"},
	} {
		resp := serve(t, Config{}, tt.method, tt.target)
		h := resp.Header
		if resp.StatusCode != tt.status || h.Get("Allow") != tt.allow || h.Get("Content-Type") != tt.kind {
			t.Errorf("%s %s: %d, Allow %q, %q", tt.method, tt.target, resp.StatusCode, h.Get("Allow"), h.Get("Content-Type"))
		}
		if h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: may be cached", tt.method, tt.target)
		}
		if tt.status >= 400 && decode(t, resp)["error"] == "" {
			t.Errorf("%s %s: no error text", tt.method, tt.target)
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	body, err := io.ReadAll(serve(t, Config{}, "GET", "/nothing").Body)
	if err != nil || string(body) != `{"error":"not found: there are /health, /health/ready, /health/live, /metrics, /why, /config, /upgrade and /publish"}`+"\n" {
		t.Errorf("%v, %q", err, body)
	}
}
