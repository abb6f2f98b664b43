package httpapi

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPProf(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{PProf: true})
	for _, tt := range []struct {
		name, path, from, host, header string
		want                           int
	}{
		{"the index", "/debug/pprof/", "127.0.0.1:1", "localhost:8082", "", 200},
		{"a profile", "/debug/pprof/goroutine?debug=1", "127.0.0.1:1", "127.0.0.1:8082", "", 200},
		{"the command line", "/debug/pprof/cmdline", "[::1]:1", "[::1]:8082", "", 200},
		{"symbols", "/debug/pprof/symbol", "127.9.9.9:1", "127.0.0.1", "", 200},
		{"IPv4 in IPv6", "/debug/pprof/", "[::ffff:127.0.0.1]:1", "LOCALHOST", "", 200},
		{"no such profile", "/debug/pprof/nothing", "127.0.0.1:1", "localhost", "", 404},
		{"without the slash", "/debug/pprof", "127.0.0.1:1", "localhost", "", 404},
		{"another machine", "/debug/pprof/", "192.0.2.1:1", "localhost", "", 403},
		{"another machine, IPv6", "/debug/pprof/heap", "[2001:db8::1]:1", "localhost", "", 403},
		{"nobody", "/debug/pprof/heap", "", "localhost", "", 403},
		{"a proxy here", "/debug/pprof/heap", "127.0.0.1:1", "localhost", "X-Forwarded-For", 403},
		{"another proxy here", "/debug/pprof/heap", "127.0.0.1:1", "localhost", "Via", 403},
		{"a name that points here", "/debug/pprof/heap", "127.0.0.1:1", "evil.example:8082", "", 403},
		{"an address of somebody", "/debug/pprof/heap", "127.0.0.1:1", "192.0.2.1", "", 403},
	} {
		r := httptest.NewRequest("GET", tt.path, nil)
		r.RemoteAddr, r.Host = tt.from, tt.host
		if tt.header != "" {
			r.Header.Set(tt.header, "192.0.2.1")
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%s: %d %q, want %d", tt.name, w.Code, w.Body, tt.want)
		}
		if w.Code == 403 && !strings.Contains(w.Body.String(), "this machine only") {
			t.Errorf("%s: refused with %q", tt.name, w.Body)
		}
	}
}

// Without the switch there is nothing there, for this machine neither.
func TestNoPProf(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/debug/pprof/heap", nil)
	r.RemoteAddr, r.Host = "127.0.0.1:1", "localhost"
	w := httptest.NewRecorder()
	newServer(t, Config{}).Handler().ServeHTTP(w, r)
	if w.Code != 404 {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}
