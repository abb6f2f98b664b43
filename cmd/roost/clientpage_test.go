package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
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

// wantHeld wants so many timers and listeners.
func (s *site) wantHeld(timers, listeners int) {
	s.t.Helper()
	got, err := chromedp.Run(s.ctx, chromedp.Evaluate[[]int]("[timers.size, held]"))
	if err != nil || !slices.Equal(got, []int{timers, listeners}) {
		s.t.Errorf("%v timers and listeners (%v), want %d and %d", got, err, timers, listeners)
	}
}
