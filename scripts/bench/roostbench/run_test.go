package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"
	"github.com/redis/go-redis/v9"

	"roost/bench/roostbench/internal/report"
)

const secret = "0123456789abcdef0123456789abcdef"

// anyMiB bounds figures of memory: the process measured is the test's own, whose
// size depends on the tests that run beside.
const anyMiB = 1e6

// fakeServer is a notification server that can be told to do badly.
type fakeServer struct {
	copies func(nth int) int // how often to deliver the nth notification; nil: once

	mu    sync.Mutex
	conns map[string]*websocket.Conn // by user; guarded by mu
}

// start returns the arguments with which it is measured.
func (f *fakeServer) start(t *testing.T) (url, redisAddr string) {
	t.Helper()
	f.conns = map[string]*websocket.Conn{}
	store := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: store.Addr()})
	subscription := client.PSubscribe(t.Context(), "user_noti:*")
	if _, err := subscription.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	var feed sync.WaitGroup
	feed.Go(func() { f.deliver(subscription.Channel()) })
	t.Cleanup(func() { _ = subscription.Close(); _ = client.Close(); feed.Wait() })
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "http", "ws", 1) + "/ws", store.Addr()
}

func (f *fakeServer) deliver(messages <-chan *redis.Message) {
	nth := 0
	for m := range messages {
		f.mu.Lock()
		conn := f.conns[strings.TrimPrefix(m.Channel, "user_noti:")]
		f.mu.Unlock()
		if conn == nil {
			continue
		}
		nth++
		copies := 1
		if f.copies != nil {
			copies = f.copies(nth)
		}
		for range copies {
			_ = conn.WriteMessage(websocket.TextMessage, []byte(m.Payload))
		}
	}
}

func (f *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var claims jwt.RegisteredClaims
	_, err := jwt.ParseWithClaims(r.URL.Query().Get("token"), &claims, func(*jwt.Token) (any, error) { return []byte(secret), nil })
	if err != nil {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	f.mu.Lock() // so that the client hears of it after it is known
	conn, err := upgrader.Upgrade(w, r, nil)
	f.conns[claims.Subject] = conn
	f.mu.Unlock()
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return
		}
	}
}

// measure runs a command against this process and returns its report.
func measure(t *testing.T, args ...string) report.Report {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.json")
	args = append(args, "--pid="+strconv.Itoa(os.Getpid()), "--secret="+secret, "--json="+path, "--quiet")
	if code, said := try(t, args...); code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	r, err := report.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func expect(t *testing.T, r report.Report, figure string, low, high float64) {
	t.Helper()
	if v, ok := r.Value(figure); !ok || v < low || v > high {
		t.Errorf("%s: %v, want %v to %v; all: %+v", figure, v, low, high, r)
	}
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		copies              func(int) int
		args                []string
		missing, duplicates float64
	}{
		"all is well":  {},
		"in batches":   {args: []string{"--pipeline=10ms", "--window=100"}},
		"bursts":       {args: []string{"--users=bursts"}},
		"counted":      {args: []string{"--count-calls"}},
		"one is lost":  {copies: func(nth int) int { return min(nth-1, 1) }, missing: 1},
		"one is twice": {copies: func(nth int) int { return 1 + 1/nth }, duplicates: 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fakeServer{copies: tt.copies}
			url, redisAddr := f.start(t)
			r := measure(t, append([]string{"deliver", "--url=" + url, "--redis=" + redisAddr, "--connections=20",
				"--notify-rate=1000", "--warmup=50ms", "--duration=300ms"}, tt.args...)...)
			expect(t, r, "missing", tt.missing, tt.missing)
			expect(t, r, "duplicates", tt.duplicates, tt.duplicates)
			expect(t, r, "out of order", 0, 0)
			expect(t, r, "for another user", 0, 0)
			expect(t, r, "latency p50", 0.001, 60_000)
			expect(t, r, "delivered", 1, 1e6)
		})
	}
}

func TestDeliverDuringStorm(t *testing.T) {
	t.Parallel()
	url, redisAddr := new(fakeServer).start(t)
	r := measure(t, "deliver", "--url="+url, "--redis="+redisAddr, "--connections=5", "--notify-rate=500",
		"--warmup=0s", "--duration=300ms", "--storm=30")
	expect(t, r, "missing", 0, 0)
	expect(t, r, "handshakes of the storm", 30, 30)
}

func TestIdle(t *testing.T) {
	t.Parallel()
	url, _ := new(fakeServer).start(t)
	r := measure(t, "idle", "--url="+url, "--sizes=0,5,10,30", "--hold=10ms", "--hold-others=2ms", "--empty=3ms", "--window=5ms", "--step=named")
	expect(t, r, "threads", 1, 1_000)
	expect(t, r, "RssAnon at 10", 0.1, anyMiB)
	expect(t, r, "wake-ups idling at 30", -1e6, 1e6) // of the test's own process, whose threads end
	expect(t, r, "RssAnon with nobody connected", 0.1, anyMiB)
	if r.Step != "named" {
		t.Errorf("the step is called %q", r.Step)
	}
	if strings.Contains(fmt.Sprint(r.Args), secret) {
		t.Errorf("the report has the secret: %v", r.Args)
	}
}

func TestIdleAfterBurst(t *testing.T) {
	t.Parallel()
	url, redisAddr := new(fakeServer).start(t)
	r := measure(t, "idle", "--url="+url, "--redis="+redisAddr, "--sizes=5,20", "--hold=5ms", "--burst=3", "--cooldown=5ms")
	expect(t, r, "notifications of the burst", 60, 60)
	expect(t, r, "missing", 0, 0)
	expect(t, r, "RssAnon after the burst", 0.1, anyMiB)
}

// With a burst at each size a connection gets as many as there are sizes since it opened, and none is missing or comes twice.
func TestIdleBurstAtEachSize(t *testing.T) {
	t.Parallel()
	url, redisAddr := new(fakeServer).start(t)
	r := measure(t, "idle", "--url="+url, "--redis="+redisAddr, "--sizes=0,5,20", "--hold=5ms", "--empty=5ms", "--burst=3", "--burst-each", "--talk=10")
	for _, size := range []int{5, 20} {
		expect(t, r, fmt.Sprintf("notifications of the burst at %d", size), float64(3*size), float64(3*size))
		expect(t, r, fmt.Sprintf("missing at %d", size), 0, 0)
		expect(t, r, fmt.Sprintf("RssAnon at %d", size), 0.1, anyMiB)
	}
	if len(r.Problems) > 0 {
		t.Errorf("problems: %v", r.Problems)
	}
}

func TestIdleAsksTheServer(t *testing.T) {
	t.Parallel()
	url, _ := new(fakeServer).start(t)
	metrics := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, "go_goroutines 7\ngo_memstats_heap_inuse_bytes 1048576\n")
	}))
	t.Cleanup(metrics.Close)
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := measure(t, "idle", "--url="+url, "--sizes=1,2", "--hold=5ms", "--metrics="+metrics.URL, "--server-log="+log)
	expect(t, r, "goroutines at 2", 7, 7)
	expect(t, r, "heap in use at 1", 1, 1)
	expect(t, r, "heap in use a connection", 0, 0)
	expect(t, r, "collections", 0, 0)
}

func TestConnectAndLeave(t *testing.T) {
	t.Parallel()
	url, _ := new(fakeServer).start(t)
	r := measure(t, "connect", "--url="+url, "--base=5", "--connections=20", "--rounds=3", "--cooldown=10ms", "--rest=5ms")
	expect(t, r, "RssAnon, after to before", 0.01, 1_000)
	expect(t, r, "handshakes", 1, 1e6)
	expect(t, r, "handshake p50", 0.001, 60_000)
}

func TestWrongTokenIsToldAsRefused(t *testing.T) {
	t.Parallel()
	url, _ := new(fakeServer).start(t)
	code, said := try(t, "connect", "--url="+url, "--connections=2", "--pid="+strconv.Itoa(os.Getpid()), "--secret=another", "--quiet")
	if code != 1 || !strings.Contains(said, "401") {
		t.Errorf("exit code %d, %s", code, said)
	}
}
