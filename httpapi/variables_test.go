package httpapi

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"roost/internal/metric"
)

// get asks a server, from this machine.
func get(s *Server, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "http://localhost"+path, nil)
	r.RemoteAddr = "127.0.0.1:1000"
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func TestVariables(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{Variables: func() []Variable {
		return []Variable{{Name: "WS_PORT", Value: "9081", Default: "8081", From: "environment"},
			{Name: "WS_MAX_CONNECTIONS", Value: "5", Default: "10000", From: "/etc/roost/roost.env", Reload: true}}
	}})
	w := get(s, "/config")
	const want = `{"variables":[{"name":"WS_PORT","value":"9081","default":"8081","from":"environment","reload":false},` +
		`{"name":"WS_MAX_CONNECTIONS","value":"5","default":"10000","from":"/etc/roost/roost.env","reload":true}]}`
	if w.Code != 200 || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := get(newServer(t, Config{}), "/config"); w.Code != 501 || !strings.Contains(w.Body.String(), "does not say what it runs with") {
		t.Errorf("without variables: %d %s", w.Code, w.Body)
	}
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	w := get(newServer(t, Config{OpenAPI: "openapi: 3.1.0\n"}), "/openapi.yaml")
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/yaml" || w.Body.String() != "openapi: 3.1.0\n" {
		t.Errorf("%d %s %q", w.Code, w.Header(), w.Body)
	}
}

func TestCounterByName(t *testing.T) {
	t.Parallel()
	s := Stats{Counters: []metric.Value{{Name: "a", Value: 1}, {Name: "b", Value: 2}}}
	if s.Counter("b") != 2 || s.Counter("c") != 0 {
		t.Errorf("b is %d, c is %d", s.Counter("b"), s.Counter("c"))
	}
}

func TestPublishErrorHasItsCause(t *testing.T) {
	t.Parallel()
	if err := (&PublishError{Err: io.ErrUnexpectedEOF}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v is not its cause", err)
	}
}

func TestFirstRecipientInTheLog(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]Publication{"everyone": {Everyone: true}, "user alice": {User: "alice"}, "group staff": {Group: "staff"}} {
		if got := first(p); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
