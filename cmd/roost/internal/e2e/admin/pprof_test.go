package admin

import (
	"net/http"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

func TestProfilesAreOffUnlessAskedFor(t *testing.T) {
	t.Parallel()
	redis, without := e2e.Start(t, nil)
	if code, body := without.Get("/debug/pprof/goroutine?debug=1"); code != http.StatusNotFound {
		t.Errorf("without HTTP_PPROF: %d %.100q", code, body)
	}
	with := roosttest.Start(t, redis, roosttest.Env{"HTTP_PPROF": "true"})
	// The loops are there, in their names.
	if code, body := with.Get("/debug/pprof/goroutine?debug=2"); code != http.StatusOK || !strings.Contains(string(body), "netpoll.(*loop).run") {
		t.Errorf("with HTTP_PPROF: %d %.100q", code, body)
	}
	if code, body := with.Get("/debug/pprof/profile?seconds=1"); code != http.StatusOK || len(body) == 0 {
		t.Errorf("a profile of the processors: %d %.100q", code, body)
	}
	if answer := with.Dial().Ask("GET /debug/pprof/ HTTP/1.1\r\nHost: localhost\r\n\r\n"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("the WebSocket port answers %s", answer.Status)
	}
}
