package browsers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// securePage starts a server with a certificate and a page over https that connects to its wss://, as pages over https have to.
func securePage(t *testing.T) (redis *redistest.Server, server *roosttest.Server, address string) {
	t.Helper()
	shown := redistest.NewAuthority(t).Issue("127.0.0.1")
	pages := httptest.NewUnstartedServer(nil)
	origin := "https://" + pages.Listener.Addr().String()
	redis, server = e2e.Start(t, roosttest.Env{
		"WS_TLS_CERT_FILE": shown.File, "WS_TLS_KEY_FILE": shown.Key, "WS_TLS_PORT": "0", "WS_ALLOWED_ORIGINS": origin,
	})
	url := "wss://" + server.WSS + "/ws?token=" + roosttest.Token(t, "alice")
	pages.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintf(w, page, url) })
	pages.StartTLS()
	t.Cleanup(pages.Close)
	return redis, server, origin
}

func TestChromiumOverTLS(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	redis, server, address := securePage(t)
	tab := openTab(t, browser, address)
	tab.wait("open")
	text := strings.Repeat("grüße 😀 ", 2000)
	e2e.Notify(redis, "alice", `{"type":"greeting","payload":{"text":"`+text+`"}}`)
	tab.wait("open", "message "+text)
	server.Signal(syscall.SIGTERM)
	tab.wait("open", "message "+text, "close 1001 true")
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
}

func TestFirefoxOverTLS(t *testing.T) {
	t.Parallel()
	tab := startFirefox(t).newPage(t)
	redis, server, address := securePage(t)
	if err := tab.visit(address); err != nil {
		t.Fatal(err)
	}
	happened := func(want string) {
		t.Helper()
		roosttest.WaitFor(t, want, func() bool {
			got, _ := tab.eval("events.join()")
			return got == want
		})
	}
	happened("open")
	e2e.Notify(redis, "alice", `{"type":"greeting","payload":{"text":"grüße"}}`)
	happened("open,message grüße")
	server.Signal(syscall.SIGTERM)
	happened("open,message grüße,close 1001 true")
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
}
