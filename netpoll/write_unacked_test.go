package netpoll

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roost/wsproto"
)

// lockedBuffer is a log that goroutines write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Notifications to clients whose packets are lost are counted when these are given up, to
// the delivery; those that the clients had acknowledged are not.
func TestWhatIsLostOnTheWayIsCounted(t *testing.T) {
	t.Parallel()
	w := newWire(t, time.Millisecond, 0)
	var log lockedBuffer
	r := startOn(t, func(c *Config) {
		c.PingInterval, c.PongWait = time.Second, time.Hour
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	}, w.listen(t))
	const clients, before, after = 5, 7, 47
	var conns []*websocket.Conn
	for i := range clients {
		conns = append(conns, r.via(w, fmt.Sprint("user", i), 0))
	}
	r.hub.Watch("user0")
	everyone := func(n int) {
		for range n {
			for i := range clients {
				r.deliver(fmt.Sprint("user", i), `{"type":"n"}`)
			}
		}
	}
	everyone(before)
	for _, conn := range conns {
		for range before {
			if _, _, err := conn.ReadMessage(); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "all is acknowledged", func() bool {
		left := 0
		for i := range clients {
			left += r.describe(fmt.Sprint("user", i)).Unacked
		}
		return left == 0
	})
	w.cut.Store(true)
	everyone(after)
	if n := r.describe("user0").Unacked; n < 30*after {
		t.Errorf("%d bytes are said not to be acknowledged", n)
	}
	eventually(t, "all are given up", func() bool {
		for _, l := range r.server.loops { // the hour is over, and no pause of a busy machine counts
			l.do(func() {
				l.graceUntil = 0
				l.wheel.Each(func(c *conn) { c.lastRead = instantOf(l.server.now() - l.server.cfg.PongWait) })
			})
		}
		return r.server.Stats().Ended["pong_timeout"] == clients
	})
	s := r.server.Stats()
	if got := s.Unacked["pong_timeout"]; got != clients*after {
		t.Errorf("%d deliveries were not acknowledged, want %d", got, clients*after)
	}
	if got := s.UnackedBytes["pong_timeout"]; got < clients*after*30 {
		t.Errorf("%d bytes were not acknowledged", got)
	}
	r.nothingLost(clients * (before + after)) // as far as the kernel knows
	line := fmt.Sprintf("unacknowledged_deliveries=%d", after)
	eventually(t, "each client's line in the log", func() bool { return strings.Count(log.String(), line) == clients })
	for i, seen := range r.hub.Watch("user0").Latest { // the last twenty
		if seen.Sent != 1 || seen.Unacknowledged != 1 {
			t.Errorf("notification %d is told to be %+v", i, seen)
		}
	}
}

// A client that resets the connection has not taken what was still on its way, and one
// that reads all and leaves has.
func TestWhatAResetLeaves(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	reads, resets := r.upgrade("reads"), r.upgrade("resets")
	payload := `{"type":"n","payload":"` + strings.Repeat("x", 1000) + `"}`
	const n = 30
	for _, user := range []string{"reads", "resets"} {
		for range n {
			r.deliverThrough(user, payload)
		}
	}
	for range n {
		reads.readFrame(t)
	}
	_ = reads.Close()
	eventually(t, "it has gone", func() bool { return r.server.Stats().Ended["client_gone"] == 1 })
	if s := r.server.Stats(); s.Unacked["client_gone"] != 0 || s.UnackedBytes["client_gone"] != 0 {
		t.Errorf("of who read all %d deliveries, %d bytes", s.Unacked["client_gone"], s.UnackedBytes["client_gone"])
	}

	eventually(t, "its queue has the others", func() bool { return r.server.Stats().Accepted == 2*n })
	for r.describe("resets").Waiting > 0 { // its buffer is small: it has to read some
		resets.readFrame(t)
	}
	// Its kernel has acknowledged all that it has: only bytes that have not left are counted.
	left := r.describe("resets").Unacked
	_ = tcpOf(resets.Conn).SetLinger(0)
	_ = resets.Close()
	eventually(t, "it has gone", func() bool { return r.server.Stats().Ended["client_gone"] == 2 })
	s := r.server.Stats()
	bytes := int(s.UnackedBytes["client_gone"])
	if bytes == 0 || bytes > left {
		t.Errorf("%d bytes, before the reset it were %d", bytes, left)
	}
	if got, most := int(s.Unacked["client_gone"]), (bytes+len(payload))/len(payload); got < most-1 || got > most {
		t.Errorf("%d deliveries in %d bytes, want %d", got, bytes, most)
	}
	r.balanced()
}

// Losses are counted also where the server ends the connection: not the end of the
// stream, and nothing of the connection that had the descriptor before.
func TestWhatIsLostAtAnEnd(t *testing.T) { // not parallel: other tests would take the descriptors
	w := newWire(t, time.Millisecond, 0)
	r := startOn(t, func(c *Config) { c.Loops, c.PingInterval, c.PongWait = 1, time.Hour, 2*time.Hour }, w.listen(t))
	const connections = 8
	size, had := 0, map[int32]bool{}
	var before []*websocket.Conn
	for range connections {
		before = append(before, r.via(w, "before", 0))
	}
	for range 5 {
		r.deliver("before", `{"type":"n"}`)
	}
	for _, c := range r.handles() {
		had[c.fd] = true
	}
	for _, conn := range before {
		for range 5 {
			_, message, err := conn.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			size = 2 + len(message)
		}
		_ = conn.NetConn().Close()
	}
	eventually(t, "they have gone", func() bool { return r.server.Stats().Sockets == 0 })

	// Some that have to answer the close frame, and some that have not, to which the end of the stream is sent at once.
	reasons := [connections]Reason{}
	again := 0
	for i := range connections {
		reasons[i] = []Reason{ReasonDisconnected, ReasonProtocol}[i%2]
		user := fmt.Sprint("user", i)
		r.via(w, user, 0)
		eventually(t, "the answer is acknowledged", func() bool { return r.describe(user).Unacked == 0 })
	}
	for _, c := range r.handles() {
		if had[c.fd] {
			again++
		}
	}
	if again == 0 {
		t.Error("no descriptor is used again: the test shows nothing of that")
	}
	w.cut.Store(true)
	const lost = 3
	closeFrame := wsproto.AppendClose(nil, 4000, "because")
	sent := r.server.Stats().Sent
	for i, reason := range reasons {
		user := fmt.Sprint("user", i)
		for range lost {
			r.deliver(user, `{"type":"n"}`)
		}
		sent += lost
		eventually(t, "the kernel has them", func() bool { return r.server.Stats().Sent == sent })
		conns, _ := r.hub.ConnsOf(user, 1)
		r.server.loops[0].do(func() { conns[0].(*conn).closeWith(reason, closeFrame) })
	}
	eventually(t, "they are ended", func() bool { return r.server.Stats().Sockets == 0 })
	s := r.server.Stats()
	for _, reason := range reasons[:2] {
		if got, want := s.UnackedBytes[reason.String()], uint64(connections/2*(lost*size+len(closeFrame))); got != want {
			t.Errorf("%s: %d bytes are not acknowledged, want %d", reason, got, want)
		}
		if got := s.Unacked[reason.String()]; got != connections/2*lost {
			t.Errorf("%s: %d deliveries are not acknowledged, want %d", reason, got, connections/2*lost)
		}
	}
}
