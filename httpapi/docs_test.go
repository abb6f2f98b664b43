package httpapi

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
)

func TestDocumentation(t *testing.T) {
	t.Parallel()
	pages := fstest.MapFS{"README.md": {Data: []byte("# All pages")}, "operations.md": {Data: []byte("# Operations")}}
	cfg := Config{Console: true, Docs: pages}
	for target, want := range map[string]struct{ kind, text string }{
		"/docs/":                  {"text/html; charset=utf-8", "docs.js"},
		"/docs/operations.md":     {"text/html; charset=utf-8", "docs.js"},
		"/docs/?raw":              {"text/markdown; charset=utf-8", "# All pages"},
		"/docs/operations.md?raw": {"text/markdown; charset=utf-8", "# Operations"},
		"/docs":                   {},
		"/docs/nothing":           {},
		"/docs//operations.md":    {},
		"/docs/../operations.md":  {},
		"/docs/.":                 {},
	} {
		resp := serve(t, cfg, "GET", target)
		body, _ := io.ReadAll(resp.Body)
		if want.kind == "" {
			if resp.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %d", target, resp.StatusCode)
			}
			continue
		}
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != want.kind || !strings.Contains(string(body), want.text) {
			t.Errorf("%s: %d %s %.80q", target, resp.StatusCode, resp.Header.Get("Content-Type"), body)
		}
		for what, other := range map[string]Config{"without the console": {Docs: pages}, "without pages": {Console: true}} {
			if resp := serve(t, other, "GET", target); resp.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %d %s", target, resp.StatusCode, what)
			}
		}
		guarded := cfg
		guarded.Token = "0123456789abcdef"
		if resp := serve(t, guarded, "GET", target); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d without the token", target, resp.StatusCode)
		}
	}
}
