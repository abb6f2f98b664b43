package browsers

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// TestClient has browsers run the client in pages, against a real server. Tests that depend on time are in client/test, where it
// is virtual.
func TestClient(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	tests := map[string]func(*testing.T, webBrowser){
		"delivers":                       clientDelivers,
		"comes back after a restart":     clientComesBack,
		"comes back over TLS":            clientComesBackOverTLS,
		"replaces an expired token":      clientReplacesToken,
		"is told of a wrong secret":      clientHasWrongSecret,
		"stops when the session is over": clientSessionOver,
		"stops when it is cut off":       clientIsCutOff,
		"notices a dead connection":      clientNoticesDeath,
		"closes for good":                clientCloses,
		"gives up an attempt":            clientGivesUpAnAttempt,
		"is used as documented":          clientIsUsedAsDocumented,
		"works in a worker":              clientWorksInAWorker,
		"shares one connection":          clientShares,
		"comes back with the page":       clientComesBackWithThePage,
		"is put to sleep":                clientIsFrozen,
		"is blocked by the page":         clientIsBlocked,
		"is blocked as mixed content":    clientIsMixedContent,
	}
	for name, start := range browsers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			browser := start(t)
			for name, test := range tests {
				t.Run(name, func(t *testing.T) { test(t, browser) }) // one after another: the browser is the whole test's
			}
		})
	}
}

func clientDelivers(t *testing.T, browser webBrowser) {
	s := (&site{env: roosttest.Env{"WS_GAP_NOTICE": "true"}}).start(t, browser)
	s.main.wait("open", "sync first")
	e2e.Notify(s.redis, "alice", `{"type":"greeting","payload":"grüße 😀"}`)
	s.main.wait("open", "sync first", "message grüße 😀")
	s.redis.Kill()
	s.server.WaitLine("redis link lost")
	s.redis.Restart()
	s.main.wait("open", "sync first", "message grüße 😀", "gap redis", "sync redis")
}

func clientComesBack(t *testing.T, browser webBrowser) {
	s := (&site{options: options{"baseDelay": 20, "maxDelay": 100}}).start(t, browser)
	s.main.wait("open", "sync first")
	s.relay.TurnTo("") // nothing listens until the next server does
	s.server.Stop()
	s.main.waitLast("connecting", "waiting 1006 ", "connecting", "waiting 1006 ")
	next := roosttest.Start(t, s.redis, nil)
	s.relay.TurnTo(next.WS)
	all := s.main.waitLast("connecting", "open", "gap reconnect", "sync reconnect")
	if !strings.HasPrefix(all[2], "waiting 1001 ") {
		t.Errorf("the end is %q, want 1001", all[2])
	}
	e2e.Notify(s.redis, "alice", `{"type":"n","payload":1}`)
	s.main.waitLast("sync reconnect", "message 1")
}

// A page over https connects to wss:// with nothing in between, and comes back there.
func clientComesBackOverTLS(t *testing.T, browser webBrowser) {
	s := (&site{tls: true, wss: true, options: options{"baseDelay": 20, "maxDelay": 100}}).start(t, browser)
	s.main.wait("open", "sync first")
	e2e.Notify(s.redis, "alice", `{"type":"n","payload":"grüße 😀"}`)
	s.main.waitLast("sync first", "message grüße 😀")
	s.relay.TurnTo("")
	s.server.Stop()
	s.main.waitLast("connecting", "waiting 1006 ")
	next := roosttest.Start(t, s.redis, s.env)
	s.relay.TurnTo(next.WSS)
	s.main.waitLast("connecting", "open", "gap reconnect", "sync reconnect")
	e2e.Notify(s.redis, "alice", `{"type":"n","payload":1}`)
	s.main.waitLast("sync reconnect", "message 1")
}

// settle is for how many milliseconds the client waits for a refusal after the handshake (client/roost.js).
const settle = 200

// hour stands for a time that never ends by itself.
const hour = 3_600_000

// expired is a token that was good.
func expired(t *testing.T) string {
	return roosttest.Sign(t, "HS256", roosttest.Secret, roosttest.Claims{"sub": "alice", "exp": 1_000_000_000})
}

func clientReplacesToken(t *testing.T, browser webBrowser) {
	s := &site{env: roosttest.Env{"WS_REJECT_AFTER_UPGRADE": "true"}, manual: []int{settle}}
	s.options = options{"baseDelay": 1 << 30, "maxDelay": 1 << 30} // so that what comes at all comes at once
	s.token = func() string {
		if s.tokens.Load() == 1 {
			return expired(t)
		}
		return roosttest.Token(t, "alice")
	}
	s.start(t, browser)
	replaced := []string{"waiting 4401 token expired", "connecting", "open", "sync first"}
	s.main.fireAfter(replaced[:2])
	s.main.wait(replaced...)
	// As WS_CLOSE_ON_EXPIRY does. It is too soon for another time at once.
	s.redis.Publish("user_ctl:alice", `{"disconnect":{"code":4401,"reason":"token expired"}}`)
	ended := append(replaced, "waiting 4401 token expired")
	s.main.wait(ended...)
	s.stays(ended)
}

func clientHasWrongSecret(t *testing.T, browser webBrowser) {
	s := &site{env: roosttest.Env{"WS_REJECT_AFTER_UPGRADE": "true"}, options: options{"baseDelay": 20, "maxDelay": 20}, manual: []int{settle}}
	s.token = func() string {
		return roosttest.Sign(t, "HS256", strings.Repeat("another secret ", 3), roosttest.Claims{"sub": "alice", "exp": 4_000_000_000})
	}
	s.start(t, browser)
	var all []string
	roosttest.WaitFor(t, "some attempts", func() bool { all = s.main.events(); return len(all) >= 7 })
	for i, event := range all {
		if i%2 == 0 && !strings.HasPrefix(event, "waiting 4401 ") || i%2 == 1 && event != "connecting" {
			t.Fatalf("the page saw %q", all)
		}
	}
}

func clientSessionOver(t *testing.T, browser webBrowser) {
	s := &site{options: options{"baseDelay": 1, "maxDelay": 1}}
	s.token = func() string {
		if s.tokens.Load() == 1 {
			return roosttest.Token(t, "alice")
		}
		return ""
	}
	s.start(t, browser)
	s.main.wait("open", "sync first")
	s.relay.Cut(s.server.WS)
	ended := []string{"open", "sync first", "waiting 1006 ", "connecting", "closed 4403 SessionOver: signed out"}
	s.main.wait(ended...)
	s.stays(ended)
}

func clientIsCutOff(t *testing.T, browser webBrowser) {
	s := (&site{options: options{"baseDelay": 1, "maxDelay": 1}}).start(t, browser)
	s.main.wait("open", "sync first")
	s.redis.Publish("user_ctl:alice", `{"disconnect":{"code":4403,"reason":"signed out"}}`)
	ended := []string{"open", "sync first", "closed 4403 signed out"}
	s.main.wait(ended...)
	s.main.run(`dispatchEvent(new Event("online")); document.dispatchEvent(new Event("visibilitychange")); roost.close()`)
	s.stays(ended)
}

func clientNoticesDeath(t *testing.T, browser webBrowser) {
	s := (&site{options: options{"baseDelay": 20, "pingAfter": 150, "pongWithin": hour}, manual: []int{hour}}).start(t, browser)
	s.main.wait("open", "sync first")
	roosttest.WaitFor(t, "answered pings", func() bool { return s.server.Metrics()["roost_client_pings_total"] >= 5 })
	s.main.wait("open", "sync first") // one that lives stays, and the answers are no notifications
	s.relay.Die()
	again := []string{"open", "sync first", "waiting 1006 no answer to a ping", "connecting", "open", "gap reconnect", "sync reconnect"}
	s.main.fireAfter(again[:2])
	s.main.wait(again...)
	s.relay.CloseDead() // the dead one's close event comes now, and is nobody's concern
	s.stays(again)
	e2e.Notify(s.redis, "alice", `{"type":"n","payload":1}`)
	s.main.wait(append(again, "message 1")...)
}

func clientCloses(t *testing.T, browser webBrowser) {
	s := (&site{options: options{"baseDelay": 1}}).start(t, browser)
	s.main.wait("open", "sync first")
	s.main.run("roost.close()")
	ended := []string{"open", "sync first", "closed 1000 closed by the page"}
	s.main.wait(ended...)
	s.server.WaitMetric("roost_connections", 0)
	if held, err := s.main.eval("String(held)"); err != nil || held != "0" {
		t.Errorf("it holds %s listeners (%v)", held, err)
	}
	s.main.run(`dispatchEvent(new Event("online")); roost.close()`)
	s.stays(ended)
}

// The first handshake goes where nobody answers.
func clientGivesUpAnAttempt(t *testing.T, browser webBrowser) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	s := &site{target: silent.Addr().String(), options: options{"baseDelay": 1, "openWithin": hour}, manual: []int{hour}}
	s.token = func() string {
		if s.tokens.Load() == 2 {
			s.relay.TurnTo(s.server.WS)
		}
		return roosttest.Token(t, "alice")
	}
	s.start(t, browser)
	_ = silent.(*net.TCPListener).SetDeadline(time.Now().Add(roosttest.Limit))
	handshake, err := silent.Accept()
	if err != nil {
		t.Fatalf("the first attempt: %v", err)
	}
	t.Cleanup(func() { _ = handshake.Close() })
	s.main.fireAfter(nil)
	s.main.wait("waiting 1006 no answer in time", "connecting", "open", "sync first")
}

// The example of README and docs/frontend.md, with the functions that it leaves out.
func clientIsUsedAsDocumented(t *testing.T, browser webBrowser) {
	var example string
	for _, path := range []string{"README.md", "docs/frontend.md"} {
		for _, block := range e2e.Blocks(e2e.ReadDoc(t, path)) {
			if block.Language == "html" && example != "" && block.Text != example {
				t.Errorf("%s has another example than README.md", path)
			} else if block.Language == "html" {
				example = block.Text
			}
		}
	}
	s := (&site{page: `<!doctype html><script>
		var events = [];
		const freshToken = async () => (await fetch("/token", { method: "POST" })).text();
		const show = ({ text }) => events.push("greeting " + text);
		const refetch = () => { events.push("refetch"); };
		</script>` + example}).start(t, browser)
	s.main.wait("refetch")
	e2e.Notify(s.redis, "alice", `{"type":"greeting","payload":{"text":"hello"}}`)
	s.main.wait("refetch", "greeting hello")
}

func clientWorksInAWorker(t *testing.T, browser webBrowser) {
	s := (&site{}).start(t, browser)
	s.main.wait("open", "sync first")
	s.main.run(`{
		const script = "import { connect } from '" + origin + "/roost.js';" +
			"connect('ws://` + s.relay.Addr + `/ws', { token: () => '` + roosttest.Token(t, "bob") + `' }).on('state', ({ state }) => postMessage(state))";
		const worker = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })), { type: "module" });
		worker.onmessage = (e) => events.push("worker " + e.data);
	}`)
	s.main.wait("open", "sync first", "worker open")
}

// Three tabs have one connection. The one that has it goes, the server restarts, and all hear all.
func clientShares(t *testing.T, browser webBrowser) {
	s := (&site{options: options{"share": true, "baseDelay": 20, "maxDelay": 20, "answerWithin": hour}}).start(t, browser)
	s.main.wait("open", "sync first")
	tabs := []*clientTab{s.open(), s.open()}
	for _, tab := range tabs {
		tab.wait("open", "sync first")
	}
	s.server.WaitMetric("roost_connections", 1)
	if n := s.tokens.Load(); n != 1 {
		t.Errorf("%d tokens were asked for, want one for all", n)
	}
	e2e.Notify(s.redis, "alice", `{"type":"n","payload":1}`)
	for _, tab := range append(tabs, s.main) {
		tab.wait("open", "sync first", "message 1")
	}
	s.main.close()
	for _, tab := range tabs {
		tab.wait("open", "sync first", "message 1", "connecting", "open", "gap reconnect", "sync reconnect")
	}
	s.server.WaitMetric("roost_connections", 1)
	s.relay.Cut(s.server.WS)
	for _, tab := range tabs {
		tab.waitLast("waiting 1006 ", "connecting", "open", "gap reconnect", "sync reconnect")
	}
	e2e.Notify(s.redis, "alice", `{"type":"n","payload":2}`)
	for _, tab := range tabs {
		tab.waitLast("message 2")
	}
	s.server.WaitMetric("roost_connections", 1)
	s.redis.Publish("user_ctl:alice", `{"disconnect":{"code":4403,"reason":"signed out"}}`)
	for _, tab := range tabs {
		tab.waitLast("closed 4403 signed out")
	}
}

// The user follows a link, and comes back with the browser's button.
func clientComesBackWithThePage(t *testing.T, browser webBrowser) {
	s := (&site{options: options{"baseDelay": 1 << 30, "maxDelay": 1 << 30}}).start(t, browser)
	s.main.wait("open", "sync first")
	if err := s.main.visit(s.url + "/other"); err != nil {
		t.Fatal(err)
	}
	s.server.WaitMetric("roost_connections", 0)
	s.main.run("history.back()")
	kept := []string{"open", "sync first", "waiting 1001 away", "connecting", "open", "gap reconnect", "sync reconnect"}
	var all []string
	roosttest.WaitFor(t, "the page", func() bool {
		all, _ = s.main.tryEvents() // the page changes
		return slices.Equal(all, kept) || slices.Equal(all, kept[:2])
	})
	t.Logf("the browser kept the page: %t", len(all) > 2) // or loaded it again
	s.server.WaitMetric("roost_connections", 1)
}

func clientIsFrozen(t *testing.T, browser webBrowser) {
	s := (&site{options: options{"baseDelay": 1 << 30, "maxDelay": 1 << 30}}).start(t, browser)
	s.main.wait("open", "sync first")
	if err := s.main.freeze(true); errors.Is(err, errNotHere) {
		t.Skip("this browser can't be told to freeze a page")
	} else if err != nil {
		t.Fatal(err)
	}
	s.server.WaitMetric("roost_connections", 0)
	if err := s.main.freeze(false); err != nil {
		t.Fatal(err)
	}
	s.main.wait("open", "sync first", "waiting 1001 away", "connecting", "open", "gap reconnect", "sync reconnect")
}

func clientIsBlocked(t *testing.T, browser webBrowser) {
	s := (&site{csp: "connect-src 'self'", options: options{"baseDelay": 20, "maxDelay": 20}}).start(t, browser)
	all := s.main.waitLast("closed 1008 Content-Security-Policy")
	s.stays(all)
	if n := s.tokens.Load(); n > 2 {
		t.Errorf("%d attempts", n)
	}
}

func clientIsMixedContent(t *testing.T, browser webBrowser) {
	s := &site{tls: true, options: options{"baseDelay": 20, "maxDelay": 20}}
	s.page = strings.Replace(clientPage, "connect(url,", `connect("ws://insecure.example/ws",`, 1)
	s.start(t, browser)
	var all []string
	roosttest.WaitFor(t, "an end", func() bool { all = s.main.events(); return len(all) > 0 })
	if !strings.HasPrefix(all[0], "closed 1008 SecurityError: ") {
		t.Errorf("the page saw %q", all)
	}
	s.stays(all)
}
