package netpoll

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"roost/hub"
	"roost/netpoll/internal/fdtable"
	"roost/netpoll/internal/wheel"
)

// sizes are the numbers of connections that nothing may get dearer with.
var sizes = []int{1_000, 10_000, 100_000, 1_000_000}

func eachSize(b *testing.B, run func(b *testing.B, n int)) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) { run(b, n) })
	}
}

// pingTicks is the usual ping interval of 30 s in ticks of half a second.
const pingTicks = 60

// fullWheel has n connections, their timers spread over a ping interval.
func fullWheel(n int) (*wheel.Wheel[*conn], []*conn) {
	w := new(wheel.Wheel[*conn])
	conns := make([]*conn, n)
	for i := range conns {
		conns[i] = new(conn)
		w.Arm(conns[i], wheel.Tick(1+i%pingTicks))
	}
	return w, conns
}

// BenchmarkWheelBytes is the memory of a connection here: its conn, which has
// its place in the wheel, and its entry in the table of descriptors.
func BenchmarkWheelBytes(b *testing.B) {
	eachSize(b, func(b *testing.B, n int) {
		for b.Loop() {
			before := heapInUse()
			w, conns := fullWheel(n)
			var t fdtable.Table[conn]
			for i, c := range conns {
				t.Set(int32(i), c)
			}
			conns = nil // the benchmark's own list
			after := heapInUse()
			runtime.KeepAlive(w)
			runtime.KeepAlive(&t)
			b.ReportMetric(float64(after-before)/float64(n), "B/conn")
		}
	})
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkDeliver is a notification's way from Deliver to the kernel, written by
// who flushes.
func BenchmarkDeliver(b *testing.B) {
	for _, batch := range []int{1, 16} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			l := sleeper(b)
			c, client := l.connect(b)
			n := &hub.Notification{Frame: make([]byte, 200)}
			sink := make([]byte, 1<<16)
			b.ReportAllocs()
			for b.Loop() {
				for range batch {
					c.Deliver(n)
				}
				l.server.Flush()
				_, _ = unix.Read(client, sink)
			}
		})
	}
}

// leastAllocs returns how many allocations a run takes: the least of several measurements, each of which counts those of all
// goroutines, and so of servers of earlier tests that are still stopping.
func leastAllocs(run func()) float64 {
	least := testing.AllocsPerRun(100, run)
	for range 9 {
		least = min(least, testing.AllocsPerRun(100, run))
	}
	return least
}

// A notification's way from the mailbox to the kernel must not be paid by the collector.
func TestFlushAllocations(t *testing.T) {
	l := sleeper(t)
	c, client := l.connect(t)
	n := &hub.Notification{Frame: make([]byte, 200)}
	sink := make([]byte, 1<<16)
	got := leastAllocs(func() {
		for range 3 {
			c.Deliver(n)
		}
		l.server.Flush()
		_, _ = unix.Read(client, sink)
	})
	if got != 0 {
		t.Errorf("three notifications cost %v allocations, want 0", got)
	}
}

// BenchmarkHandshake is a connection's whole life on a loop, without TCP: opened,
// admitted, answered and gone.
func BenchmarkHandshake(b *testing.B) {
	h := newHandshaker(b)
	b.ReportAllocs()
	for b.Loop() {
		h.run()
	}
}

// Two allocations live as long as a connection: itself and its user's name. The other eight are of the token's check, and
// are garbage as soon as the 101 is written ("One reader for tokens" in docs/decisions.md has what they cost).
func TestHandshakeAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the token check's sync.Pool drops items under the race detector")
	}
	h := newHandshaker(t)
	if got := leastAllocs(h.run); got > 10 {
		t.Errorf("a connection costs %v allocations, want 10: itself, its user, and 8 of the token's check", got)
	}
}

// handshaker takes one descriptor through the life of a connection, again and
// again.
type handshaker struct {
	loop    *loop
	request []byte
	pair    [2]int
	answer  []byte
}

func newHandshaker(t testing.TB) *handshaker {
	l := sleeper(t)
	l.asleep = false
	l.server.log = slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn}))
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(pair[0]); _ = unix.Close(pair[1]) })
	return &handshaker{loop: l, pair: pair, request: []byte(upgradeRequest(t, "user-1")), answer: make([]byte, 1024)}
}

func (h *handshaker) run() {
	l := h.loop
	l.newConn(h.pair[0], netip.AddrPort{}, false)
	c := l.server.conns.Get(int32(h.pair[0]))
	c.received(h.request)
	if n, _ := unix.Read(h.pair[1], h.answer); n < 12 || string(h.answer[9:12]) != "101" {
		panic(fmt.Sprintf("the answer is %q", h.answer[:max(n, 0)]))
	}
	c.cleanup()
}

// upgradeRequest is what a browser sends, without its longer headers.
func upgradeRequest(t testing.TB, user string) string {
	return fmt.Sprintf("GET /ws?token=%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", token(t, user))
}

// BenchmarkIdleTurn is a turn of a loop that has nothing to do.
func BenchmarkIdleTurn(b *testing.B) {
	l := sleeper(b)
	l.asleep = false
	(&conn{loop: l}).setTimer(l.server.now() + time.Hour)
	for b.Loop() {
		l.handle(nil)
	}
}
