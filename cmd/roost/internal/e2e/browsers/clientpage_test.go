package browsers

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"roost/client"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// clientPage uses the client as a page does, and writes down what it is told.
const clientPage = `<!doctype html><title>client</title><script>
var events = [], held = 0; // listeners
const add = window.addEventListener, remove = window.removeEventListener;
window.addEventListener = (...a) => { held++; add.apply(window, a); };
window.removeEventListener = (...a) => { held--; remove.apply(window, a); };
// Timers of as many milliseconds as manual names end when the test calls fire, however slow the machine is.
var manual = [], timers = new Map();
const later = window.setTimeout, stop = window.clearTimeout;
window.setTimeout = (f, ms) => {
  if (!manual.includes(ms)) return later(f, ms);
  const timer = {};
  timers.set(timer, f);
  return timer;
};
window.clearTimeout = (timer) => { timers.delete(timer) || stop(timer); };
function fire() {
  const due = [...timers.values()];
  timers.clear();
  for (const f of due) f();
}
</script><script type="module">
import { connect, SessionOver } from "/roost.js";
const { url, options, manual } = await (await fetch("/settings")).json();
window.manual = manual ?? [];
const token = async ({ signal }) => {
  const answer = await fetch("/token", { method: "POST", signal });
  if (answer.status === 401) throw new SessionOver("signed out");
  return answer.text();
};
window.roost = connect(url, { token, sync: ({ reason }) => { events.push("sync " + reason); }, ...options });
roost.on("state", ({ state, code, reason }) => events.push(code ? state + " " + code + " " + reason : state));
roost.on("gap", ({ reason }) => events.push("gap " + reason));
roost.on("*", ({ payload }) => events.push("message " + payload));
</script>`

// options of connect.
type options map[string]any

// site is a server with a page that uses the client, and what else the page talks to.
type site struct {
	t       *testing.T
	browser webBrowser
	env     roosttest.Env
	options options
	manual  []int         // timers of so many milliseconds end when the test calls fire
	target  string        // where the relay goes at first; "": the server
	token   func() string // what is given out, any goroutine; "" is answered with 401
	page    string        // "": clientPage
	script  string        // /app.js
	csp     string        // the page's Content-Security-Policy
	tls     bool          // the page comes by https
	wss     bool          // and connects by wss://, to the server's own TLS port

	redis  *redistest.Server
	server *roosttest.Server
	relay  *roosttest.Relay // between the page and the server
	tokens atomic.Int32
	url    string // of the page
	main   *clientTab
}

// clientTab is a tab with the page.
type clientTab struct {
	webPage
	t *testing.T
}

// start starts all of it, and opens the page as alice.
func (s *site) start(t *testing.T, browser webBrowser) *site {
	t.Helper()
	s.t, s.browser = t, browser
	s.redis = redistest.Start(t)
	scheme := "ws://"
	if s.wss {
		shown := redistest.NewAuthority(t).Issue("127.0.0.1")
		s.env = roosttest.Env{"WS_TLS_CERT_FILE": shown.File, "WS_TLS_KEY_FILE": shown.Key, "WS_TLS_PORT": "0"}
		scheme = "wss://"
	}
	s.server = roosttest.Start(t, s.redis, s.env)
	if s.wss {
		s.target = s.server.WSS
	}
	s.relay = roosttest.StartRelay(t, cmp.Or(s.target, s.server.WS))
	if s.token == nil {
		s.token = func() string { return roosttest.Token(t, "alice") }
	}
	page := strings.ReplaceAll(cmp.Or(s.page, clientPage), "localhost:8081", s.relay.Addr)
	// However long the browser, or the server, stands still: the client gives nothing up unless the test has it do so.
	patient := options{"openWithin": 2 * hour, "pongWithin": 2 * hour, "answerWithin": 2 * hour}
	maps.Copy(patient, s.options)
	settings := map[string]any{"url": scheme + s.relay.Addr + "/ws", "options": patient, "manual": s.manual}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		if s.csp != "" {
			w.Header().Set("Content-Security-Policy", s.csp)
		}
		_, _ = fmt.Fprint(w, page)
	})
	mux.HandleFunc("GET /other", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<!doctype html>another page") })
	mux.HandleFunc("GET /roost.js", serveScript(client.Script()))
	mux.HandleFunc("GET /app.js", serveScript(s.script))
	mux.HandleFunc("GET /settings", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(settings) })
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		s.tokens.Add(1)
		token := s.token()
		if token == "" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = fmt.Fprint(w, token)
	})
	pages := httptest.NewUnstartedServer(mux)
	if s.tls {
		pages.StartTLS()
	} else {
		pages.Start()
	}
	t.Cleanup(pages.Close)
	s.url = pages.URL
	s.main = s.open()
	return s
}

// open opens the page in another tab.
func (s *site) open() *clientTab {
	s.t.Helper()
	tab := &clientTab{s.browser.newPage(s.t), s.t}
	s.t.Cleanup(func() {
		if s.t.Failed() {
			all, err := tab.tryEvents()
			s.t.Logf("a page saw %q (%v)", all, err)
		}
	})
	if err := tab.visit(s.url); err != nil {
		s.t.Fatalf("opening %s: %v", s.url, err)
	}
	return tab
}

// events returns what has happened.
func (tab *clientTab) events() (all []string) {
	tab.t.Helper()
	all, err := tab.tryEvents()
	if err != nil {
		tab.t.Fatalf("asking the page: %v", err)
	}
	return all
}

func (tab *clientTab) tryEvents() (all []string, err error) {
	text, err := tab.eval("JSON.stringify(window.events ?? [])")
	if err == nil {
		err = json.Unmarshal([]byte(text), &all)
	}
	return all, err
}

// wait waits until this is all that has happened.
func (tab *clientTab) wait(events ...string) {
	tab.t.Helper()
	var got []string
	roosttest.WaitFor(tab.t, strings.Join(events, ", "), func() bool {
		got = tab.events()
		return len(got) >= len(events)
	})
	if !slices.Equal(got, events) {
		tab.t.Fatalf("the page saw %q, want %q", got, events)
	}
}

// waitLast waits until what happened last is this, and returns all that has.
func (tab *clientTab) waitLast(last ...string) (all []string) {
	tab.t.Helper()
	roosttest.WaitFor(tab.t, strings.Join(last, ", "), func() bool {
		all = tab.events()
		return len(all) >= len(last) && slices.Equal(all[len(all)-len(last):], last)
	})
	return all
}

// fireAfter ends the page's manual timers when this is all that has happened, over and over until more has.
func (tab *clientTab) fireAfter(events []string) {
	tab.t.Helper()
	script := fmt.Sprintf("if (window.events?.length === %d) fire()", len(events))
	roosttest.WaitFor(tab.t, "more than "+strings.Join(events, ", "), func() bool {
		tab.run(script)
		return len(tab.events()) > len(events)
	})
}

// run runs a script in the page.
func (tab *clientTab) run(script string) {
	tab.t.Helper()
	if _, err := tab.eval(script + `; "done"`); err != nil {
		tab.t.Fatalf("running %s: %v", script, err)
	}
}

// stays gives the page the time to go on, which it must not.
func (s *site) stays(ended []string) {
	s.t.Helper()
	tokens := s.tokens.Load()
	if _, err := s.main.eval(`new Promise((done) => setTimeout(() => done("done"), 300))`); err != nil {
		s.t.Fatal(err)
	}
	if later := s.main.events(); !slices.Equal(later, ended) || s.tokens.Load() != tokens {
		s.t.Errorf("the page went on after its end: %q", later)
	}
}
