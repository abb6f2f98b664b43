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

// The page of docs/clients.md renews its token before the old one expires, again and again, and tries again when it can't get one.
func TestDocumentedRenewal(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	redis := redistest.Start(t)
	var server *roosttest.Server
	// The page's timers end at once, and say how long they were to take.
	origin := snippetPage(t, func() string {
		return snippet(t, "docs/clients.md", "keepRenewed", server.WS) + `
			console.warn = ({ message }) => events.push("warned " + message);
			const later = window.setTimeout, waits = [];
			window.setTimeout = (f, wait) => { waits.push(wait); return later(f, 0); };
			let asked = 0;
			const socket = new WebSocket("ws://` + server.WS + `/ws", ["roost.v1", "bearer." + token]);
			keepRenewed(socket, async () => {
				if (++asked === 2) throw new Error("no network");
				if (asked === 5) window.setTimeout = () => events.push("enough");
				return token;
			});`
	})
	server = roosttest.Start(t, redis, roosttest.Env{"WS_CLOSE_ON_EXPIRY": "true", "WS_ALLOWED_ORIGINS": origin})
	tab := openTab(t, browser, origin)
	happened := func(what string) {
		roosttest.WaitFor(t, what, func() bool { return strings.Contains(tab.evaluate("events.join()"), what) })
	}
	happened("enough")
	happened("warned no network")
	if closed := tab.evaluate(`String(socket.readyState)`); closed != "1" {
		t.Errorf("the connection's state is %s, want 1, open", closed)
	}
	// A token that lives for longer than a page's longest timer is not renewed again and again; others at some moment in the middle.
	for text, want := range map[string]string{
		`{type: "_hello", payload: {expires_in: 9_000_000_000}}`: "wait === 2147483647",
		`{type: "_hello", payload: {expires_in: 1_000}}`:         "wait > 399_000 && wait <= 800_000",
		`{type: "_auth", payload: {ok: true, expires_in: 6}}`:    "wait === 5_000",
		`{type: "_auth", payload: {ok: true, expires_in: 3}}`:    "wait === undefined",
		`{type: "_auth", payload: {ok: false, code: 4401}}`:      "wait === undefined",
		`{type: "n", payload: {expires_in: 1_000}}`:              "wait === undefined",
	} {
		said := tab.evaluate(`{
			let wait;
			window.setTimeout = (_, ms) => { wait = ms; };
			socket.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(` + text + `) }));
			String(` + want + `);
		}`)
		if said != "true" {
			t.Errorf("%s: not so: %s", text, want)
		}
	}
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
