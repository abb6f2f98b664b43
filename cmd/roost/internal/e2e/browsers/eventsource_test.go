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

// eventPage opens an event stream with what browsers have, and writes down what happens to it.
const eventPage = `<!doctype html><title>roost</title><script>
var events = [];
var source = new EventSource(%q);
source.onopen = () => events.push("open");
source.onmessage = e => events.push("message " + JSON.parse(e.data).payload.text);
source.addEventListener("close", e => events.push("close " + JSON.parse(e.data).code));
source.onerror = () => events.push(source.readyState === EventSource.CLOSED ? "over" : "again");
</script>`

// eventPages serves the page for whoever an address names: /alice, /bob with a bad token.
func eventPages(t *testing.T, server func() string, token func(user string) string) (origin string) {
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, eventPage, "http://"+server()+"/sse?token="+token(strings.Trim(r.URL.Path, "/")))
	}))
	t.Cleanup(pages.Close)
	return pages.URL
}

// EventSource needs no code of ours: it gets notifications, comes back after an outage by itself, and stays away when told to.
func TestEventSource(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	redis := redistest.Start(t)
	var server *roosttest.Server
	var relay *roosttest.Relay
	origin := eventPages(t, func() string { return relay.Addr }, func(user string) string { return roosttest.Token(t, user) })
	server = roosttest.Start(t, redis, roosttest.Env{"WS_ALLOWED_ORIGINS": origin, "WS_PING_INTERVAL": "100ms", "WS_PONG_WAIT": "5m"})
	relay = roosttest.StartRelay(t, server.WS)

	first, second := openTab(t, browser, origin+"/alice"), openTab(t, browser, origin+"/alice")
	first.wait("open")
	second.wait("open")
	e2e.Notify(redis, "alice", `{"type":"greeting","payload":{"text":"grüße 😀"}}`)
	first.wait("open", "message grüße 😀")
	second.wait("open", "message grüße 😀")
	e2e.Notify(redis, "alice", "{\"type\":\"greeting\",\n\"payload\":{\n\"text\":\"lines\"}}")
	first.wait("open", "message grüße 😀", "message lines")
	roosttest.WaitFor(t, "heartbeats", func() bool { return server.Metrics()["roost_pings_sent_total"] >= 10 })

	// Another page's origin is refused, and the browser does not try again.
	stranger := openTab(t, browser, strings.Replace(origin, "127.0.0.1", "localhost", 1)+"/alice")
	stranger.wait("over")

	// The network fails: the browser comes back by itself.
	relay.Cut(server.WS)
	first.wait("open", "message grüße 😀", "message lines", "again", "open")
	second.wait("open", "message grüße 😀", "message lines", "again", "open")

	// A backend ends it: the browser is told, comes back, and is told to stay away.
	redis.Publish("user_ctl:alice", `{"disconnect":{"code":4001}}`)
	for _, tab := range []tab{first, second} {
		tab.wait("open", "message grüße 😀", "message lines", "again", "open", "close 4001", "again", "over")
	}
	server.WaitMetric(`roost_connections_refused_total{reason="stream_ended"}`, 2)
	server.WaitMetric("roost_event_streams", 0)
}

// A stop of the server is an end that browsers come back from, and while it stops they are sent away for a while only.
func TestEventSourceComesBackToAServer(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	redis := redistest.Start(t)
	var relay *roosttest.Relay
	origin := eventPages(t, func() string { return relay.Addr }, func(user string) string { return roosttest.Token(t, user) })
	server := roosttest.Start(t, redis, roosttest.Env{"WS_MAX_CONNECTIONS": "1"})
	relay = roosttest.StartRelay(t, server.WS)
	tab := openTab(t, browser, origin+"/alice")
	tab.wait("open")
	full := openTab(t, browser, origin+"/bob")
	roosttest.WaitFor(t, "bob to be sent away, not for good", func() bool {
		seen := strings.Join(full.events(), ", ")
		return strings.HasPrefix(seen, "open, close 4503, again") && !strings.Contains(seen, "over")
	})
	next := roosttest.Start(t, redis, nil)
	relay.TurnTo(next.WS)
	server.Signal(syscall.SIGTERM)
	tab.wait("open", "close 1001", "again", "open")
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	roosttest.WaitFor(t, "bob to be let in by the next server", func() bool { return strings.HasSuffix(strings.Join(full.events(), ", "), "again, open") })
	next.WaitMetric("roost_event_streams", 2)
}
