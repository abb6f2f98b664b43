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

// snippet is the JavaScript of a page of the documentation that contains what is given. It talks to addr, without TLS.
func snippet(t *testing.T, page, contains, addr string) string {
	t.Helper()
	for _, block := range e2e.Blocks(e2e.ReadDoc(t, page)) {
		if block.Language == "js" && strings.Contains(block.Text, contains) {
			return strings.NewReplacer("wss://example.com", "ws://"+addr, "https://example.com", "http://"+addr).Replace(block.Text)
		}
	}
	t.Fatalf("%s has no JavaScript with %q", page, contains)
	return ""
}

// snippetPage serves a page that writes down what a snippet shows, refetches and logs. The server has to allow its origin.
func snippetPage(t *testing.T, script func() string) (origin string) {
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `<!doctype html><title>roost</title><script>
			var events = [];
			const token = %q;
			const show = ({ payload }) => events.push("show " + payload.text);
			const refetch = () => events.push("refetch");
			console.log = ({ code }) => events.push("close " + code);
			</script><script>%s</script>`, roosttest.Token(t, "alice"), script())
	}))
	t.Cleanup(pages.Close)
	return pages.URL
}

// The WebSocket of docs/clients.md misses nothing while it is away for a moment, and refetches when that can't be.
func TestDocumentedWebSocketResumes(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	redis := redistest.Start(t)
	var relay *roosttest.Relay
	origin := snippetPage(t, func() string {
		return snippet(t, "docs/clients.md", "let last", relay.Addr) + "\nvar socket = listen(token);"
	})
	server := roosttest.Start(t, redis, roosttest.Env{"WS_RESUME_WINDOW": "1m", "WS_ALLOWED_ORIGINS": origin})
	relay = roosttest.StartRelay(t, server.WS)
	greet := func(text string) { e2e.Notify(redis, "alice", `{"type":"greeting","payload":{"text":"`+text+`"}}`) }

	tab := openTab(t, browser, origin)
	server.WaitMetric("roost_connections", 1)
	greet("one")
	tab.wait("show one")
	relay.Cut(server.WS)
	server.WaitMetric("roost_connections", 0)
	greet("two")
	greet("three")
	tab.evaluate("String(socket = listen(token))")
	tab.wait("show one", "show two", "show three")
	tab.evaluate("socket.close(); last = 'unknown'; String(socket = listen(token))")
	tab.wait("show one", "show two", "show three", "refetch")
}

// The page of docs/clients.md renews its token when the connection opens, and again in time.
func TestDocumentedRenewal(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	redis := redistest.Start(t)
	var server *roosttest.Server
	origin := snippetPage(t, func() string {
		return snippet(t, "docs/clients.md", "keepRenewed", server.WS) + `
			const socket = new WebSocket("ws://` + server.WS + `/ws", ["roost.v1", "bearer." + token]);
			keepRenewed(socket, async () => token, 24 * 3_600_000); // far earlier than it expires: at once
			socket.addEventListener("message", ({ data }) => show({ payload: { text: JSON.parse(data).type } }));`
	})
	server = roosttest.Start(t, redis, roosttest.Env{"WS_CLOSE_ON_EXPIRY": "true", "WS_ALLOWED_ORIGINS": origin})
	tab := openTab(t, browser, origin)
	tab.wait("show _auth", "show _auth")
	server.WaitMetric(`roost_token_renewals_total{result="renewed"}`, 2)
	// A token that lives for longer than a page's longest timer is not renewed again and again.
	tab.evaluate(`socket.close(); events = []; window.setTimeout = (_, wait) => show({ payload: { text: wait } });
		keepRenewed(new WebSocket(socket.url, ["roost.v1", "bearer." + token]), async () => token, -60 * 24 * 3_600_000); ""`)
	tab.wait("show 2147483647")
}

// The EventSource of docs/connecting.md shows notifications, and hears why it ends.
func TestDocumentedEventSource(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	redis := redistest.Start(t)
	var server *roosttest.Server
	origin := snippetPage(t, func() string { return snippet(t, "docs/connecting.md", "EventSource", server.WS) })
	server = roosttest.Start(t, redis, roosttest.Env{"WS_ALLOWED_ORIGINS": origin})
	tab := openTab(t, browser, origin)
	server.WaitMetric("roost_event_streams", 1)
	e2e.Notify(redis, "alice", `{"type":"greeting","payload":{"text":"hello"}}`)
	tab.wait("show hello")
	server.Signal(syscall.SIGTERM)
	tab.wait("show hello", "close 1001")
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
}
