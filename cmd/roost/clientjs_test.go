package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"

	"roost/client"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// clientPage uses the client as a page does, and writes down what it says, how
// long it waits, which can be made shorter, and what it holds on to.
const clientPage = `<!doctype html><title>client</title><script>
var events = [], delays = [], held = 0; // timers and listeners
const delay = window.setTimeout, forget = window.clearTimeout, timers = new Set();
window.setTimeout = (f, ms) => {
  if (ms !== 20_000 && ms !== 200) { // openWithin, settle
    delays.push(Math.round(ms));
    if (window.hurry) ms = 1;
  }
  const id = delay(() => { timers.delete(id); f(); }, ms);
  timers.add(id);
  return id;
};
window.clearTimeout = (id) => { timers.delete(id); forget(id); };
for (const target of [window, document]) {
  const add = target.addEventListener, remove = target.removeEventListener;
  target.addEventListener = (...a) => { held++; add.apply(target, a); };
  target.removeEventListener = (...a) => { held--; remove.apply(target, a); };
}
</script><script type="module">
import { connect } from "/roost.js";
const { url, options, before } = await (await fetch("/settings")).json();
(0, eval)(before);
window.roost = connect(url, async () => (await fetch("/token", { method: "POST" })).text(), {
  onNotification: (n) => events.push("message " + n.payload),
  onOpen: () => events.push("refetch"),
  onGap: (gap) => events.push("gap " + gap.reason + " " + !isNaN(Date.parse(gap.since))),
  onState: (state, why) => events.push(why ? state + " " + why.code + " " + why.reason : state),
  ...options,
});
</script>`

// site is what a page of clientPage talks to besides Roost.
type site struct {
	tab
	redis  *redistest.Server
	server *roosttest.Server
	relay  *relay
	tokens atomic.Int32  // given out
	token  func() string // what is given out, any goroutine
	env    roosttest.Env
	page   string // "": clientPage
	target string // where the relay goes at first; "": the server
}

// options of a client that waits for nothing it need not; a test sets what it is about.
type options map[string]any

const never = 1 << 30 // milliseconds

// openSite opens a page that connects as alice.
func openSite(t *testing.T, browser context.Context, s *site, o options, before string) *site {
	t.Helper()
	s.redis = redistest.Start(t)
	s.server = roosttest.Start(t, s.redis, s.env)
	s.relay = startRelay(t, cmp.Or(s.target, s.server.WS))
	if s.token == nil {
		s.token = func() string { return roosttest.Token(t, "alice") }
	}
	settings := map[string]any{"url": "ws://" + s.relay.addr + "/ws", "options": o, "before": before}
	s.page = strings.ReplaceAll(s.page, "localhost:8081", s.relay.addr)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, cmp.Or(s.page, clientPage)) })
	mux.HandleFunc("GET /roost.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = fmt.Fprint(w, client.Script())
	})
	mux.HandleFunc("GET /settings", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(settings) })
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		s.tokens.Add(1)
		_, _ = fmt.Fprint(w, s.token())
	})
	pages := httptest.NewServer(mux)
	t.Cleanup(pages.Close)
	s.tab = openTab(t, browser, pages.URL)
	return s
}

// waitLast waits until what happened last is this, and returns all that has.
func (s *site) waitLast(last ...string) (all []string) {
	s.t.Helper()
	roosttest.WaitFor(s.t, strings.Join(last, ", "), func() bool {
		all = s.events()
		return len(all) >= len(last) && slices.Equal(all[len(all)-len(last):], last)
	})
	return all
}

// count returns how often something happened.
func count(all []string, event string) (n int) {
	for _, e := range all {
		if e == event {
			n++
		}
	}
	return n
}

// run runs a script in the page.
func (s *site) run(script string) {
	s.t.Helper()
	if _, err := chromedp.Run(s.ctx, chromedp.Evaluate[any](script+"; null")); err != nil {
		s.t.Fatalf("running %s: %v", script, err)
	}
}

// TestClient has a browser run the client that docs/clients.md gives to pages.
func TestClient(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	browser := startBrowser(t)
	tests := map[string]func(*testing.T, context.Context){
		"delivers":                        clientDelivers,
		"comes back after a restart":      clientComesBack,
		"replaces an expired token":       clientReplacesToken,
		"begins anew":                     clientBeginsAnew,
		"does not insist on a bad token":  clientHasBadToken,
		"stops when it is shown the door": clientIsShownTheDoor,
		"notices a dead connection":       clientNoticesDeath,
		"looks when it is woken":          clientIsWoken,
		"waits longer each time":          clientBacksOff,
		"closes for good":                 clientCloses,
		"does as the table says":          clientObeysTheTable,
		"is used as documented":           clientIsUsedAsDocumented,
		"works in a worker":               clientWorksInAWorker,
		"gives up an attempt":             clientGivesUpAnAttempt,
		"gives up on a token":             clientGivesUpOnToken,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, browser) }) // one after another: the browser is the whole test's
	}
}

func clientDelivers(t *testing.T, browser context.Context) {
	s := openSite(t, browser, &site{env: roosttest.Env{"WS_GAP_NOTICE": "true"}}, nil, "")
	s.wait("connecting", "open", "refetch")
	notify(s.redis, "alice", `{"type":"greeting","payload":"grüße 😀"}`)
	s.wait("connecting", "open", "refetch", "message grüße 😀")
	notify(s.redis, "alice", `{"type":"_later","payload":"reserved for Roost"}`)
	notify(s.redis, "alice", `{"type":"greeting","payload":"2"}`)
	s.wait("connecting", "open", "refetch", "message grüße 😀", "message 2")
	s.redis.Kill()
	s.server.WaitLine("redis link lost")
	s.redis.Restart()
	s.wait("connecting", "open", "refetch", "message grüße 😀", "message 2", "gap redis true")
}

func clientComesBack(t *testing.T, browser context.Context) {
	s := openSite(t, browser, &site{}, options{"baseDelay": 20, "maxDelay": 100}, "")
	s.wait("connecting", "open", "refetch")
	s.relay.turnTo("") // nothing listens until the next server does
	s.server.Stop()
	s.waitLast("connecting", "waiting 1006 ", "connecting", "waiting 1006 ")
	next := roosttest.Start(t, s.redis, nil)
	s.relay.turnTo(next.WS)
	all := s.waitLast("connecting", "open", "refetch")
	if !strings.HasPrefix(all[3], "waiting 1001 ") {
		t.Errorf("the end is %q, want 1001", all[3])
	}
	notify(s.redis, "alice", `{"type":"n","payload":1}`)
	s.waitLast("refetch", "message 1")
	if n := int(s.tokens.Load()); n < 4 || n != count(s.events(), "connecting") {
		t.Errorf("%d tokens were asked for in %d attempts", n, count(s.events(), "connecting"))
	}
}

// expired is a token that was good.
func expired(t *testing.T) string {
	return roosttest.Sign(t, "HS256", roosttest.Secret, roosttest.Claims{"sub": "alice", "exp": 1_000_000_000})
}

func clientReplacesToken(t *testing.T, browser context.Context) {
	s := &site{env: roosttest.Env{"WS_REJECT_AFTER_UPGRADE": "true"}}
	s.token = func() string {
		if s.tokens.Load() == 1 {
			return expired(t)
		}
		return roosttest.Token(t, "alice")
	}
	openSite(t, browser, s, options{"baseDelay": never, "maxDelay": never}, "") // so that it is at once
	replaced := []string{"connecting", "waiting 4401 token expired", "connecting", "open", "refetch"}
	s.wait(replaced...)
	// As WS_CLOSE_ON_EXPIRY does. It is too soon for another time at once.
	s.redis.Publish("user_ctl:alice", `{"disconnect":{"code":4401,"reason":"token expired"}}`)
	ended := append(replaced, "waiting 4401 token expired")
	s.wait(ended...)
	s.stays(ended)
}

// A connection that held for long enough lets the next failure be the first again.
func clientBeginsAnew(t *testing.T, browser context.Context) {
	s := openSite(t, browser, &site{}, options{"baseDelay": never, "maxDelay": never, "stableAfter": 0}, "")
	want := []string{"connecting", "open", "refetch"}
	s.wait(want...)
	for range 3 {
		s.redis.Publish("user_ctl:alice", `{"disconnect":{"code":4401,"reason":"token expired"}}`)
		want = append(want, "waiting 4401 token expired", "connecting", "open", "refetch")
		s.wait(want...)
	}
}

func clientHasBadToken(t *testing.T, browser context.Context) {
	s := &site{env: roosttest.Env{"WS_REJECT_AFTER_UPGRADE": "true"}}
	s.token = func() string { return expired(t) }
	openSite(t, browser, s, options{"baseDelay": 1000, "maxDelay": never}, "window.hurry = true; Math.random = () => 0.5")
	roosttest.WaitFor(t, "some attempts", func() bool { return s.tokens.Load() >= 6 })
	want := []string{"connecting", "waiting 4401 token expired"}
	if all := s.events()[:8]; !slices.Equal(all, slices.Concat(want, want, want, want)) {
		t.Errorf("the page saw %q", all)
	}
	s.wantDelays(0, 1000, 2000, 4000)
}

// wantDelays wants these to be its first waits.
func (s *site) wantDelays(want ...int) {
	s.t.Helper()
	delays, err := chromedp.Run(s.ctx, chromedp.Evaluate[[]int]("delays"))
	if err != nil {
		s.t.Fatal(err)
	}
	if len(delays) < len(want) || !slices.Equal(delays[:len(want)], want) {
		s.t.Errorf("it waited %v, want %v", delays, want)
	}
}

func clientIsShownTheDoor(t *testing.T, browser context.Context) {
	s := openSite(t, browser, &site{}, options{"baseDelay": 1, "maxDelay": 1}, "")
	s.wait("connecting", "open", "refetch")
	s.redis.Publish("user_ctl:alice", `{"disconnect":{"code":4403,"reason":"signed out"}}`)
	ended := []string{"connecting", "open", "refetch", "closed 4403 signed out"}
	s.wait(ended...)
	s.run(`dispatchEvent(new Event("online")); document.dispatchEvent(new Event("visibilitychange")); roost.close()`)
	s.stays(ended)
}

// stays gives the page the time to go on, which it must not.
func (s *site) stays(ended []string) {
	s.t.Helper()
	tokens := s.tokens.Load()
	const script = "new Promise((done) => delay(() => done(events), 300))"
	later, err := chromedp.Run(s.ctx, chromedp.Evaluate[[]string](script, chromedp.EvalAwaitPromise))
	if err != nil {
		s.t.Fatal(err)
	}
	if !slices.Equal(later, ended) || s.tokens.Load() != tokens {
		s.t.Errorf("the page went on after its end: %q", later)
	}
}

func clientNoticesDeath(t *testing.T, browser context.Context) {
	s := openSite(t, browser, &site{}, options{"baseDelay": 20, "pingAfter": 150, "pongWithin": 3000}, "")
	s.wait("connecting", "open", "refetch")
	roosttest.WaitFor(t, "answered pings", func() bool { return s.server.Metrics()["roost_client_pings_total"] >= 5 })
	s.wait("connecting", "open", "refetch") // one that lives stays, and the answers are no notifications
	s.relay.die()
	again := []string{"connecting", "open", "refetch", "waiting 1006 no answer to a ping", "connecting", "open", "refetch"}
	s.wait(again...)
	s.relay.bury() // the dead one's close event comes now, and is nobody's concern
	s.stays(again)
	notify(s.redis, "alice", `{"type":"n","payload":1}`)
	s.wait(append(again, "message 1")...)
	s.wantHeld(1, 3)
}

func clientIsWoken(t *testing.T, browser context.Context) {
	o := options{"baseDelay": never, "maxDelay": never, "pingAfter": never, "pongWithin": 500}
	s := openSite(t, browser, &site{}, o, "Math.random = () => 0.001") // of never and of a second
	s.wait("connecting", "open", "refetch")
	s.relay.die()
	s.run(`document.dispatchEvent(new Event("visibilitychange"))`)
	once := []string{"connecting", "open", "refetch", "waiting 1006 no answer to a ping"}
	s.wait(once...)
	s.run(`dispatchEvent(new Event("offline"))`)
	s.stays(once)
	s.run(`dispatchEvent(new Event("online"))`)
	s.wait(append(once, "connecting", "open", "refetch")...)
}

func clientBacksOff(t *testing.T, browser context.Context) {
	s := &site{env: roosttest.Env{"WS_ALLOWED_ORIGINS": "https://elsewhere.example"}} // refused, as a page sees it
	openSite(t, browser, s, nil, "window.hurry = true; Math.random = () => 1")
	roosttest.WaitFor(t, "some attempts", func() bool { return s.tokens.Load() >= 8 })
	s.wantDelays(4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000)
	s.run("Math.random = () => 0; hurry = false")
	seen := s.tokens.Load()
	roosttest.WaitFor(t, "attempts without a delay", func() bool { return s.tokens.Load() > seen+3 })
}

// wantHeld wants so many timers and listeners.
func (s *site) wantHeld(timers, listeners int) {
	s.t.Helper()
	got, err := chromedp.Run(s.ctx, chromedp.Evaluate[[]int]("[timers.size, held]"))
	if err != nil || !slices.Equal(got, []int{timers, listeners}) {
		s.t.Errorf("%v timers and listeners (%v), want %d and %d", got, err, timers, listeners)
	}
}

func clientCloses(t *testing.T, browser context.Context) {
	s := openSite(t, browser, &site{}, options{"baseDelay": 1}, "")
	s.wait("connecting", "open", "refetch")
	s.wantHeld(1, 3)
	s.run("roost.close()")
	ended := []string{"connecting", "open", "refetch", "closed 1000 closed by the page"}
	s.wait(ended...)
	s.wantHeld(0, 0)
	s.server.WaitMetric("roost_connections", 0)
	s.run(`dispatchEvent(new Event("online")); roost.close()`)
	s.stays(ended)
}

// The first handshake goes where nobody answers.
func clientGivesUpAnAttempt(t *testing.T, browser context.Context) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	s := &site{target: silent.Addr().String()}
	s.token = func() string {
		if s.tokens.Load() == 2 {
			s.relay.turnTo(s.server.WS)
		}
		return roosttest.Token(t, "alice")
	}
	openSite(t, browser, s, options{"baseDelay": 1, "openWithin": 3000}, "")
	s.wait("connecting", "waiting 1006 not connected in time", "connecting", "open", "refetch")
}

// The first request for a token is never answered, the second fails.
func clientGivesUpOnToken(t *testing.T, browser context.Context) {
	s := openSite(t, browser, &site{}, options{"baseDelay": 1, "openWithin": 3000}, `
		const ask = fetch, wrong = [new Promise(() => {}), Promise.reject("no token")];
		wrong[1].catch(() => {});
		window.fetch = (url, how) => wrong.shift() ?? ask(url, how)`)
	s.wait("connecting", "waiting 1006 not connected in time", "connecting", "waiting 1006 no token",
		"connecting", "open", "refetch")
}

// The table of docs/clients.md says for each code whether to reconnect.
func clientObeysTheTable(t *testing.T, browser context.Context) {
	s := openSite(t, browser, &site{}, nil, "")
	s.wait("connecting", "open", "refetch")
	_, table, _ := strings.Cut(readDoc(t, "docs/clients.md"), "\n## How a connection ends\n")
	table, _, _ = strings.Cut(table, "\n## ")
	codes := 0
	rows := regexp.MustCompile(`(?m)^\| (\d+[^|]*) \|[^|]*\| (Reconnect|Stop)\b`)
	for _, row := range rows.FindAllStringSubmatch(table, -1) {
		want := map[string]string{"Reconnect": "waiting", "Stop": "closed"}[row[2]]
		for _, code := range regexp.MustCompile(`\d+`).FindAllString(row[1], -1) {
			codes++
			script := `import("/roost.js").then(({ connect }) => new Promise((done) => {
				const real = WebSocket;
				window.WebSocket = class { constructor() { setTimeout(() => this.onclose({ code: ` + code + ` })); } close() {} };
				const fake = connect("", () => "", { onState: (state) => {
					if (state === "connecting") return;
					window.WebSocket = real;
					setTimeout(() => fake.close());
					done(state);
				} });
			}))`
			state, err := chromedp.Run(s.ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
			if err != nil || state != want {
				t.Errorf("after %s it is %q (%v), want %q", code, state, err, want)
			}
		}
	}
	if codes < 14 {
		t.Errorf("the table has %d codes", codes)
	}
}

// The example of README and docs/clients.md, with the functions that it leaves out.
func clientIsUsedAsDocumented(t *testing.T, browser context.Context) {
	var example string
	for _, path := range []string{"README.md", "docs/clients.md"} {
		for _, block := range blocks(readDoc(t, path)) {
			if block.language == "html" && example != "" && block.text != example {
				t.Errorf("%s has another example than README.md", path)
			} else if block.language == "html" {
				example = block.text
			}
		}
	}
	s := openSite(t, browser, &site{env: roosttest.Env{"WS_GAP_NOTICE": "true"}, page: `<!doctype html><script>
		var events = [];
		const freshToken = async () => (await fetch("/token", { method: "POST" })).text();
		const onNotification = (n) => events.push(n.type + " " + n.payload.text);
		const refetch = () => events.push("refetch");
		</script>` + example}, nil, "")
	s.wait("refetch")
	notify(s.redis, "alice", `{"type":"greeting","payload":{"text":"hello"}}`)
	s.wait("refetch", "greeting hello")
}

func clientWorksInAWorker(t *testing.T, browser context.Context) {
	s := openSite(t, browser, &site{}, nil, "")
	s.wait("connecting", "open", "refetch")
	s.run(`{
		const script = "import { connect } from '" + origin + "/roost.js';" +
			"connect('ws://` + s.relay.addr + `/ws', () => '` + roosttest.Token(t, "bob") + `', { onState: (s) => postMessage(s) })";
		const worker = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })), { type: "module" });
		worker.onmessage = (e) => events.push("worker " + e.data);
	}`)
	s.waitLast("worker connecting", "worker open")
}
