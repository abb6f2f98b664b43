package netpoll

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"
)

// timeOut has the deadline of all pending handshakes be now. So a test needs none that passes while a busy machine is on its way to what
// the test is about.
func (r *rig) timeOut() {
	r.t.Helper()
	for _, l := range r.server.loops {
		done := make(chan struct{})
		l.do(func() {
			defer close(done)
			now := l.server.now()
			l.wheel.Each(func(c *conn) {
				if c.extra == nil || c.extra.hs == nil {
					return
				}
				latest := now - c.lastRead.ago(now) + l.server.cfg.HandshakeTimeout + 2*l.server.tickLength // lastRead is the accept
				if at := l.server.moment(l.wheel.At(c)); at > latest {
					r.t.Errorf("a handshake would time out at %s, want %s at the latest", at, latest)
				}
				c.setTimer(now)
			})
		})
		<-done
	}
}

// wallClock is a clock on the wall that can be set. Any goroutine.
type wallClock struct{ ahead atomic.Int64 }

func (w *wallClock) now() time.Time          { return time.Now().Add(time.Duration(w.ahead.Load())) }
func (w *wallClock) set(ahead time.Duration) { w.ahead.Store(int64(ahead)) }

// The clock on the wall is set back an hour, and then forward: pings go on, nobody is
// taken for dead or stuck, and no connection ends but the one whose token is over
// by the new clock.
func TestClockSteps(t *testing.T) {
	t.Parallel()
	var wall wallClock
	r := start(t, func(c *Config) {
		c.Now, c.CloseOnExpiry = wall.now, true
		c.PingInterval, c.PongWait, c.WriteWait = 50*time.Millisecond, 10*time.Minute, 10*time.Minute
	})
	begun := time.Now()
	r.connect("stuck") // and never reads
	padding := strings.Repeat("x", 20_000)
	eventually(t, "a connection is stalled", func() bool {
		r.deliver("stuck", `{"type":"n","payload":"`+padding+`"}`)
		return r.server.Stats().Stalled == 1
	})
	short, long := r.watch("short", begun.Add(30*time.Minute)), r.watch("long", begun.Add(3*time.Hour))

	short.goesOn(t)
	wall.set(-time.Hour)
	short.goesOn(t)
	long.goesOn(t)
	wall.set(45 * time.Minute) // the token of the stuck one is good for an hour
	if err := short.waitEnd(t); !websocket.IsCloseError(err, int(closeExpired)) {
		t.Errorf("whose token is over by the new clock got %v, want a close frame with %d", err, closeExpired)
	}
	long.goesOn(t)
	wall.set(0)
	long.goesOn(t)
	if s := r.server.Stats(); s.Ended["token_expired"] != 1 || r.hub.Connections() != 2 {
		t.Errorf("%d connections are left, want 2; ended: %v", r.hub.Connections(), s.Ended)
	}
}

// watched is a client that answers pings.
type watched struct {
	user  string
	pings atomic.Int64
	end   chan error // buffered: what ended the connection
}

// watch connects with a token that is good until expires.
func (r *rig) watch(user string, expires time.Time) *watched {
	r.t.Helper()
	claims := jwt.MapClaims{"sub": user, "exp": expires.Unix()}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(testSecret))
	if err != nil {
		r.t.Fatal(err)
	}
	conn, _, err := r.dialer().DialContext(r.t.Context(), "ws://"+r.addr+"/ws?token="+signed, nil)
	if err != nil {
		r.t.Fatalf("connecting as %s: %v", user, err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	w := &watched{user: user, end: make(chan error, 1)}
	answerPings(conn)
	answer := conn.PingHandler()
	conn.SetPingHandler(func(data string) error { w.pings.Add(1); return answer(data) })
	go func() {
		var err error
		for err == nil {
			_, _, err = conn.ReadMessage()
		}
		w.end <- err
	}()
	return w
}

// goesOn waits for a few pings more.
func (w *watched) goesOn(t *testing.T) {
	t.Helper()
	before := w.pings.Load()
	eventually(t, "more pings to "+w.user, func() bool {
		if len(w.end) > 0 {
			t.Fatalf("%s ended: %v", w.user, <-w.end)
		}
		return w.pings.Load() >= before+5
	})
}

// waitEnd returns what ended the connection.
func (w *watched) waitEnd(t *testing.T) error {
	t.Helper()
	eventually(t, "the end of "+w.user, func() bool { return len(w.end) > 0 })
	return <-w.end
}

// After a pause a ping is due for every connection. The loop sends them in batches, and does other things between.
func TestOverdueTimersInBatches(t *testing.T) {
	t.Parallel()
	l := sleeper(t)
	l.mu.Lock()
	defer l.mu.Unlock()
	const connections = timerBatch + 20
	for range connections {
		c, _ := l.connect(t)
		c.resetTimer(l.server.now())
	}
	l.server.started = l.server.started.Add(-time.Minute)
	l.runTimers()
	if n := l.stats.Pings.Load(); n != timerBatch || l.untilTimer() != 0 {
		t.Errorf("%d pings, and the next in %d ms, want %d and at once", n, l.untilTimer(), timerBatch)
	}
	l.runTimers()
	if n := l.stats.Pings.Load(); n != connections || l.untilTimer() == 0 {
		t.Errorf("%d pings, and the next in %d ms, want %d and later", n, l.untilTimer(), connections)
	}
}
