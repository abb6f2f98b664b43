package browsers

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// TestClientApps drives the apps that scripts/client-apps.sh has made of the packed client through what happens to pages. They
// wait as the client does in the field, so each takes a minute.
func TestClientApps(t *testing.T) {
	dir := os.Getenv("ROOST_CLIENT_APPS")
	if dir == "" {
		t.Skip("no apps are made: scripts/client-apps.sh makes them, and runs this")
	}
	for name, start := range browsers() {
		t.Run(name, func(t *testing.T) {
			browser := start(t)
			for app, built := range map[string]string{"plain": "", "typescript": "dist", "react": "dist", "vue": "dist"} {
				t.Run(app, func(t *testing.T) {
					a := startApp(t, browser, filepath.Join(dir, app, built))
					a.shots = filepath.Join(dir, "shots", name+"-"+app)
					a.live()
				})
			}
		})
	}
}

// app is a page that shows an inbox, with its backend, a server, and the network between the page and the server.
type app struct {
	t       *testing.T
	browser webBrowser
	shots   string // where pictures go, and how their names begin

	redis   *redistest.Server
	server  *roosttest.Server
	relay   *roosttest.Relay
	backend *httptest.Server

	mu    sync.Mutex // guards the rest
	items []map[string]string
	token func() string // "" is answered with 401
}

// appEnv is how an app's servers are configured.
var appEnv = roosttest.Env{"WS_CLOSE_ON_EXPIRY": "true"}

func startApp(t *testing.T, browser webBrowser, dir string) *app {
	t.Helper()
	redis, server := e2e.Start(t, appEnv)
	a := &app{t: t, browser: browser, redis: redis, server: server, relay: roosttest.StartRelay(t, server.WS), items: []map[string]string{}}
	a.signs(roosttest.Secret, time.Hour)
	files := http.FileServer(http.Dir(dir))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /inbox", func(w http.ResponseWriter, _ *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		_ = json.NewEncoder(w).Encode(a.items)
	})
	mux.HandleFunc("POST /roost-token", func(w http.ResponseWriter, _ *http.Request) {
		a.mu.Lock()
		token := a.token()
		a.mu.Unlock()
		if token == "" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = fmt.Fprint(w, token)
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		files.ServeHTTP(answer, r)
		w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		w.WriteHeader(answer.Code)
		_, _ = fmt.Fprint(w, strings.ReplaceAll(answer.Body.String(), "localhost:8081", a.relay.Addr))
	})
	a.backend = httptest.NewServer(mux)
	t.Cleanup(a.backend.Close)
	return a
}

// signs says with which secret the backend signs tokens, and for how long.
func (a *app) signs(secret string, life time.Duration) {
	a.answers(func() string {
		return roosttest.Sign(a.t, "HS256", secret, roosttest.Claims{"sub": "alice", "exp": time.Now().Add(life).Unix()})
	})
}

func (a *app) answers(token func() string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token = token
}

// greet puts an item into the inbox and publishes it, as a backend does. It returns how many there are.
func (a *app) greet() int {
	a.mu.Lock()
	n := len(a.items) + 1
	item := map[string]string{"id": strconv.Itoa(n), "text": "hello"}
	a.items = append(a.items, item)
	a.mu.Unlock()
	payload, _ := json.Marshal(item)
	e2e.Notify(a.redis, "alice", `{"type":"greeting","payload":`+string(payload)+`}`)
	return n
}

func (a *app) open() *clientTab {
	a.t.Helper()
	tab := &clientTab{a.browser.newPage(a.t), a.t}
	if err := tab.visit(a.backend.URL); err != nil {
		a.t.Fatalf("opening %s: %v", a.backend.URL, err)
	}
	return tab
}

// see waits until a tab shows n items in a state, and takes a picture.
func (a *app) see(tab *clientTab, n int, state, picture string) {
	a.t.Helper()
	begin := time.Now()
	want, got := fmt.Sprintf("%d new (%s)", n, state), ""
	defer func() {
		if a.t.Failed() {
			a.t.Logf("%s: the page shows %q", picture, got)
		}
	}()
	roosttest.WaitWithin(a.t, 3*roosttest.Limit, picture+": "+want, func() bool { // browsers wait before they connect again, up to a minute
		got, _ = tab.eval(`[...document.querySelectorAll("p")].map((p) => p.textContent).find((text) => /new \(/.test(text)) ?? ""`)
		return got == want
	})
	a.t.Logf("%s: %s after %.1f s", picture, want, time.Since(begin).Seconds())
	image, err := tab.screenshot()
	if errors.Is(err, errNotHere) || a.shots == "" {
		return
	}
	if err == nil {
		err = os.MkdirAll(filepath.Dir(a.shots), 0o755)
	}
	if err == nil {
		err = os.WriteFile(a.shots+"-"+strings.ReplaceAll(picture, " ", "-")+".png", image, 0o600)
	}
	if err != nil {
		a.t.Errorf("a picture of %s: %v", picture, err)
	}
}

// live is a day of a page. After each thing that happens it shows every item that there is.
func (a *app) live() {
	tab := a.open()
	a.see(tab, 0, "open", "1 open")
	a.see(tab, a.greet(), "open", "2 notified")
	a.restart(tab)
	a.loseNetwork(tab)
	a.sleep(tab)
	a.expire(tab)
	a.changeSecret(tab)
	second := a.openSecond(tab)
	a.answers(func() string { return "" })
	a.relay.Cut(a.server.WS)
	a.see(second, a.count(), "closed", "16 session over")
}

func (a *app) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.items)
}

func (a *app) restart(tab *clientTab) {
	a.relay.TurnTo("")
	a.server.Stop()
	a.see(tab, a.count(), "waiting", "3 server is away")
	n := a.greet()
	a.server = roosttest.Start(a.t, a.redis, appEnv)
	a.relay.TurnTo(a.server.WS)
	a.see(tab, n, "open", "4 server is back")
}

func (a *app) loseNetwork(tab *clientTab) {
	a.relay.Die()
	a.relay.TurnTo("")
	if err := tab.offline(true); err != nil {
		a.t.Fatal(err)
	}
	a.see(tab, a.count(), "waiting", "5 network is away")
	n := a.greet()
	a.relay.TurnTo(a.server.WS)
	if err := tab.offline(false); err != nil {
		a.t.Fatal(err)
	}
	a.see(tab, n, "open", "6 network is back")
	a.relay.CloseDead()
	a.see(tab, a.greet(), "open", "7 dead connection ends")
}

func (a *app) sleep(tab *clientTab) {
	err := tab.freeze(true)
	if errors.Is(err, errNotHere) {
		a.t.Log("8 sleep: this browser can't be told to freeze a page")
		return
	}
	if err != nil {
		a.t.Fatal(err)
	}
	a.server.WaitMetric("roost_connections", 0)
	n := a.greet()
	if err := tab.freeze(false); err != nil {
		a.t.Fatal(err)
	}
	a.see(tab, n, "open", "8 awake")
}

// expire has the page loaded with a token that ends soon, and its connection with it.
func (a *app) expire(tab *clientTab) {
	a.signs(roosttest.Secret, 3*time.Second)
	a.reload(tab)
	a.see(tab, a.count(), "open", "9 short token")
	asked := make(chan struct{}, 1)
	a.answers(func() string {
		select {
		case asked <- struct{}{}:
		default:
		}
		return roosttest.Token(a.t, "alice")
	})
	select {
	case <-asked:
	case <-time.After(roosttest.Limit):
		a.t.Fatal("10 expired: the page asked for no other token")
	}
	a.see(tab, a.greet(), "open", "10 fresh token")
}

// changeSecret has the backend sign with a secret that is not the server's, and then with the right one.
func (a *app) changeSecret(tab *clientTab) {
	a.signs(strings.Repeat("another secret ", 3), time.Hour)
	a.reload(tab)
	n := a.greet()
	a.see(tab, 0, "waiting", "11 wrong secret")
	a.signs(roosttest.Secret, time.Hour)
	a.see(tab, n, "open", "12 right secret")
}

func (a *app) reload(tab *clientTab) {
	a.t.Helper()
	if err := tab.visit(a.backend.URL); err != nil {
		a.t.Fatal(err)
	}
}

// openSecond opens a second tab, which takes over the connection that both share.
func (a *app) openSecond(tab *clientTab) *clientTab {
	second := a.open()
	a.see(second, a.count(), "open", "13 second tab")
	n := a.greet()
	a.see(tab, n, "open", "14 first of both tabs")
	a.see(second, n, "open", "14 second of both tabs")
	a.server.WaitMetric("roost_connections", 1)
	tab.close()
	a.see(second, a.greet(), "open", "15 first tab is closed")
	a.server.WaitMetric("roost_connections", 1)
	return second
}
