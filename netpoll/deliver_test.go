package netpoll

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/hub"
)

func TestDeliveryToConnectionsOnEveryLoop(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	first, second := r.connect("alice"), r.connect("alice")
	other := r.connect("bob")
	onLoops := map[*loop]int{}
	for _, l := range r.server.loops {
		onLoops[l] = int(l.stats.opened.Load())
	}
	for l, n := range onLoops {
		if n == 0 {
			t.Errorf("loop %d has none of the three connections", l.index)
		}
	}
	const n = 200 // fewer than may wait: the clients do not read yet
	for i := range n {
		r.deliver("alice", fmt.Sprintf(`{"type":"n","payload":%d}`, i))
	}
	r.deliver("bob", `{"type":"only this"}`)
	for i := range n {
		want := fmt.Sprintf(`{"type":"n","payload":%d,`, i)
		for _, conn := range []interface {
			ReadMessage() (int, []byte, error)
		}{first, second} {
			kind, message, err := conn.ReadMessage()
			if err != nil || kind != 1 || !strings.HasPrefix(string(message), want) {
				t.Fatalf("message %d: %d %q %v", i, kind, message, err)
			}
		}
	}
	if _, message, err := other.ReadMessage(); err != nil || !strings.Contains(string(message), "only this") {
		t.Fatalf("bob got %q, %v", message, err)
	}
	eventually(t, "all counted as sent", func() bool { return r.server.Stats().Sent == 2*n+1 })
	r.balanced()
}

// Registered first, answered second: a client that has read the 101 is found.
func TestWhoHasTheAnswerIsRegistered(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for i := range 300 {
		user := fmt.Sprint("user", i)
		client := r.upgrade(user)
		if n := r.hub.ConnectionsOf(user); n != 1 {
			t.Fatalf("client %d has its 101 and %d connections in the hub, want 1", i, n)
		}
		_ = client.Close()
	}
}

// Notifications published together leave together.
func TestABurstLeavesInFewWrites(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.Loops = 1 })
	conn := r.connect("alice")
	l := r.server.loops[0]
	release := l.hold() // the loop is busy while the burst comes
	before := l.stats.Writes.Load()
	const n = 200
	for range n {
		r.deliver("alice", `{"type":"burst"}`)
	}
	release()
	for range n {
		if _, _, err := conn.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
	if writes := l.stats.Writes.Load() - before; writes > 3 {
		t.Errorf("%d notifications took %d writes, want 3 at most", n, writes)
	}
}

// roomless returns how many notifications were dropped for want of room in a
// connection's queue.
func (r *rig) roomless() uint64 {
	failed := r.server.Stats().Failed
	return failed["queue_full"] + failed["slow_consumer"]
}

// A client that reads nothing has its queue filled and then loses notifications,
// counted; when it reads again it gets all that were kept, whole and in order.
func TestSlowConsumer(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.QueueBytes = 20 * 20_200 })
	slow := r.upgrade("slow")
	quick := r.connect("quick")
	padding := strings.Repeat("x", 20_000)
	sent := 0
	eventually(t, "a notification is dropped", func() bool {
		r.deliver("slow", fmt.Sprintf(`{"type":"n","payload":[%d,"%s"]}`, sent, padding))
		sent++
		return r.roomless() > 0
	})
	s := r.server.Stats()
	if s.Stalled != 1 || s.Queued > 20 {
		t.Errorf("stalled %d, queued %d; want 1 and 20 at most", s.Stalled, s.Queued)
	}
	// The number of waiting notifications is what can be counted in the queues.
	eventually(t, "all that waits is in write queues", func() bool {
		s := r.server.Stats()
		return s.Waiting == uint64(s.Queued) && s.Mailbox[0]+s.Mailbox[1] == 0
	})
	r.balanced()

	r.deliver("quick", `{"type":"still quick"}`)
	if _, _, err := quick.ReadMessage(); err != nil {
		t.Fatalf("another client suffers: %v", err)
	}

	kept := sent - int(r.roomless())
	last := -1
	for range kept {
		opcode, payload := slow.readFrame(t)
		var n int
		if _, err := fmt.Sscanf(string(payload), `{"type":"n","payload":[%d,`, &n); err != nil || opcode != 0x81 || n <= last {
			t.Fatalf("after %d: opcode %x, %.40q", last, opcode, payload)
		}
		last = n
	}
	eventually(t, "nothing waits", func() bool {
		s := r.server.Stats()
		return s.Waiting == 0 && s.Stalled == 0 && s.Queued == 0 && s.QueuedBytes == 0
	})
	r.balanced()
}

func TestWriteWaitEndsAClientThatTakesNothing(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.WriteWait = 200 * time.Millisecond })
	r.upgrade("stuck")
	padding := strings.Repeat("x", 20_000)
	eventually(t, "the connection is ended", func() bool {
		r.deliver("stuck", `{"type":"n","payload":"`+padding+`"}`)
		return r.server.Stats().Ended["write_timeout"] == 1
	})
	eventually(t, "nothing waits", func() bool { return r.server.Stats().Waiting == 0 })
	s := r.server.Stats()
	if s.Failed["connection_closed"] == 0 {
		t.Error("what was queued was not counted as failed")
	}
	r.balanced()
}

// The grace after a pause of the process is longer than WriteWait. It gives such a client that time once, and not over and over again.
func TestWriteWaitEndsAClientThatTakesNothingAfterAPause(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.Loops, c.WriteWait, c.PongWait = 1, 200*time.Millisecond, 100*patience })
	padding := strings.Repeat("x", 20_000)
	l, ended := r.server.loops[0], uint64(0)
	for paused := false; !paused; ended++ { // on a busy machine it may have ended before anybody looks
		r.upgrade("stuck")
		eventually(t, "the client takes no more", func() bool {
			r.deliver("stuck", `{"type":"n","payload":"`+padding+`"}`)
			s := r.server.Stats()
			return s.Stalled == 1 || s.Ended["write_timeout"] > ended
		})
		done := make(chan struct{})
		l.do(func() {
			defer close(done)
			l.graceUntil = r.server.now() + r.server.cfg.grace() // as after a pause that has just ended
			l.wheel.Each(func(c *conn) { paused = paused || c.stalled() })
		})
		<-done
		eventually(t, "the connection is ended", func() bool { return r.server.Stats().Ended["write_timeout"] > ended })
	}
	r.balanced()
}

// Connections come and go while notifications for them are under way.
func TestChurnUnderDelivery(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				r.deliver("alice", `{"type":"n","payload":"under way"}`)
				runtime.Gosched() // one processor is enough for this test
			}
		}
	})
	for range 200 {
		conn := r.connect("alice")
		if _, _, err := conn.ReadMessage(); err != nil {
			t.Errorf("a connection got nothing: %v", err)
		}
		_ = conn.NetConn().Close()
	}
	close(stop)
	wg.Wait()
	eventually(t, "all are gone", func() bool {
		s := r.server.Stats()
		return s.Sockets == 0 && s.Waiting == 0 && r.hub.Connections() == 0
	})
	r.balanced()
}

// The way of a notification through a loop allocates nothing but what the hub
// built.
func TestDeliverOnLoopAllocations(t *testing.T) {
	r := start(t, func(c *Config) { c.Loops = 1 })
	client := r.upgrade("alice")
	go func() { _, _ = io.Copy(io.Discard, client.r) }()
	l := r.server.loops[0]
	n := &hub.Notification{Frame: []byte("\x81\x02{}")}
	allocations := make(chan float64)
	l.do(func() {
		var target *conn
		l.wheel.Each(func(c *conn) { target = c })
		allocations <- leastAllocs(func() {
			target.deliver(n)
			l.deliverMail()
		})
	})
	if got := <-allocations; got != 0 {
		t.Errorf("a delivery on the loop costs %v allocations, want 0", got)
	}
}
