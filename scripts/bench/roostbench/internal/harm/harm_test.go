package harm

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roost/bench/roostbench/internal/raw"
	"roost/bench/roostbench/internal/rules"
)

// host is a WebSocket server that can be told to bear harm badly.
type host struct {
	stall  time.Duration // nobody gets a pong for so long after a request for /other
	drops  bool          // a text message ends all connections
	limit  int64         // of a message; 0: none
	header time.Duration // for a handshake; 0: for ever
	opens  bool          // to everybody

	mu    sync.Mutex // who holds it keeps others from their pongs
	conns []*websocket.Conn
}

func (h *host) start(t *testing.T) raw.Target {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ReadHeaderTimeout = h.header
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(h.dropAll)
	return raw.Target{
		Server: netip.MustParseAddrPort(server.Listener.Addr().String()), Path: "/ws", Secret: []byte("secret"), Patience: time.Minute,
	}
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/ws" {
		h.mu.Lock()
		time.Sleep(h.stall) // it is what the test measures
		h.mu.Unlock()
		http.NotFound(w, r)
		return
	}
	good := strings.HasPrefix(r.URL.RawQuery, "token=") && strings.HasSuffix(r.Header.Get("User-Agent"), "bench")
	if !h.opens && (!good || forged(r)) {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	h.mu.Lock()
	h.conns = append(h.conns, conn)
	h.mu.Unlock()
	h.serve(conn)
}

// forged tells the attack's tokens by their user.
func forged(r *http.Request) bool {
	return strings.Contains(r.URL.RawQuery, "eyJzdWIiOiJtYWxsb3J5I") // {"sub":"mallory"
}

func (h *host) serve(conn *websocket.Conn) {
	conn.SetReadLimit(h.limit)
	conn.SetPingHandler(func(text string) error {
		if h.stall > 0 {
			h.mu.Lock()
			defer h.mu.Unlock()
		}
		return conn.WriteControl(websocket.PongMessage, []byte(text), time.Now().Add(time.Minute))
	})
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return
		}
		if h.drops {
			h.dropAll()
		}
	}
}

func (h *host) dropAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, conn := range h.conns {
		_ = conn.Close()
	}
}

// named finds a kind.
func named(t *testing.T, name string) kind {
	t.Helper()
	if name == "requests for another path" {
		return kind{name: name, do: heads("GET /other HTTP/1.1\r\nHost: x\r\n\r\n")}
	}
	for _, k := range append(kinds(), slowKinds()...) {
		if k.name == name {
			return k
		}
	}
	t.Fatalf("there is no harm called %q", name)
	return kind{}
}

func TestHarm(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, harm string
		host       *host
		bound      time.Duration // 0: long
		want       rules.Verdict
		came       string
	}{
		{"refuses quickly", "requests for another path", &host{}, 0, rules.Kept, "refused with 404"},
		{"stalls the others", "requests for another path", &host{stall: 250 * time.Millisecond}, 100 * time.Millisecond, rules.Broken, "waited longer than 100ms"},
		{"bears messages", "messages without end", &host{}, 0, rules.Kept, "closed"},
		{"drops the others", "messages without end", &host{drops: true}, 0, rules.Broken, "healthy connections lost"},
		{"limits messages", "a message of endless fragments", &host{limit: 512}, 0, rules.Kept, ""},
		{"takes any message", "a message of endless fragments", &host{}, 0, rules.Broken, "taken whole"},
		{"limits a frame", "a message of 16 MiB", &host{limit: 512}, 0, rules.Kept, ""},
		{"takes any frame", "a message of 16 MiB", &host{}, 0, rules.Broken, "taken whole"},
		{"loses patience with silence", "sockets that say nothing", &host{header: 5 * time.Second}, 0, rules.Kept, "closed"},
		{"waits for the silent", "sockets that say nothing", &host{}, 0, rules.Broken, "left hanging"},
		{"loses patience with the slow", "handshakes a byte at a time", &host{header: 5 * time.Second}, 0, rules.Kept, ""},
		{"waits for the slow", "handshakes a byte at a time", &host{}, 0, rules.Broken, "left hanging"},
		{"limits heads", "heads without end", &host{}, 0, rules.Kept, ""},
		{"refuses tokens", "tokens that are not good", &host{}, 0, rules.Kept, "refused with 401"},
		{"takes any token", "tokens that are not good", &host{opens: true}, 0, rules.Broken, "answered"},
		{"answers pings", "pings without end", &host{}, 0, rules.Kept, "closed"},
		{"sees the end", "upgrading and shutting the sending side", &host{}, 0, rules.Kept, "closed"},
		{"survives resets", "connecting and resetting", &host{}, 0, rules.Kept, "proper handshake afterwards"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{Target: tt.host.start(t), Length: 100 * time.Millisecond, Handshake: time.Minute, Bound: tt.bound}
			if tt.bound == 0 {
				cfg.Bound = 45 * time.Second
			}
			if tt.came == "left hanging" {
				cfg.Handshake = 200 * time.Millisecond
			}
			h, err := watch(t.Context(), cfg.Target)
			if err != nil {
				t.Fatal(err)
			}
			defer h.stop()
			r := cfg.inflict(t.Context(), named(t, tt.harm), h)
			if r.Verdict != tt.want || !strings.Contains(r.Came, tt.came) {
				t.Errorf("%+v, want %s with %q", r, tt.want, tt.came)
			}
		})
	}
}

// A server that takes nobody in can't be harmed.
func TestNobodyIsLetIn(t *testing.T) {
	t.Parallel()
	target := (&host{}).start(t)
	target.Path = "/other"
	if _, err := Run(t.Context(), Config{Target: target, Length: time.Millisecond, Handshake: time.Second, Bound: time.Second}); err == nil ||
		!strings.Contains(err.Error(), "404") {
		t.Errorf("got %v", err)
	}
}

func TestTally(t *testing.T) {
	t.Parallel()
	var tally tally
	if !tally.bad() {
		t.Error("nothing at all is fine")
	}
	for _, words := range []string{"b", "a", "c", "c", "d", "e"} {
		tally.count(words)
	}
	if got, want := tally.String(), "2 × c, 1 × a, 1 × b, 1 × d, and 1 other things"; got != want || tally.bad() {
		t.Errorf("%q, want %q", got, want)
	}
	if tally.blame("f"); !tally.bad() {
		t.Error("what must not come is fine")
	}
}
