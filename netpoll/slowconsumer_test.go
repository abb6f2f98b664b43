package netpoll

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"roost/hub"
	"roost/netpoll/internal/mailbox"
	"roost/netpoll/internal/sendqueue"
)

// A client that is to be closed because it lost something gets what it had a part of,
// the close frame, and nothing else. It is called slow only if it is.
func TestLossClosesWhereItShall(t *testing.T) {
	t.Parallel()
	for reason, tt := range map[string]struct {
		rules Rules
		code  string
	}{
		"slow_consumer": {Rules{QueueBytes: 1 << 30, QueueMessages: 20}, "\x11\x38"}, // 4408
		"queue_full":    {Rules{QueueBytes: 20 * 20_200}, "\x11\x9b"},                // 4507
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			for again := true; again; {
				r := start(t, func(c *Config) {
					c.QueueBytes, c.QueueMessages, c.CloseSlow = tt.rules.QueueBytes, tt.rules.QueueMessages, true
				})
				again = r.closesAfterLoss(reason, tt.code)
			}
		})
	}
}

// closesAfterLoss delivers to a client that reads nothing until it has lost something,
// and checks how it ends. On a busy machine that may take so long that the client is
// slow by then, where it should not be: then it reports that and checks nothing.
func (r *rig) closesAfterLoss(reason, code string) (late bool) {
	t := r.t
	slow, quick := r.upgrade("slow"), r.connect("quick")
	padding := strings.Repeat("x", 20_000)
	begun := time.Now()
	eventually(t, "the connection is ended", func() bool {
		r.deliver("slow", `{"type":"n","payload":"`+padding+`"}`)
		return r.hub.ConnectionsOf("slow") == 0
	})
	eventually(t, "its end is counted", func() bool {
		ended := r.server.Stats().Ended
		return ended["slow_consumer"]+ended["queue_full"] == 1
	})
	if reason == "queue_full" && r.server.Stats().Ended["slow_consumer"] == 1 && time.Since(begun) > sendqueue.SlowAfter {
		return true
	}
	if s := r.server.Stats(); s.Ended[reason] != 1 || s.Queued > 1 {
		t.Errorf("ended %v, %d are queued; want one %s and 1 at most, a part of which is sent", s.Ended, s.Queued, reason)
	}
	r.deliver("quick", `{"type":"still quick"}`)
	if _, _, err := quick.ReadMessage(); err != nil {
		t.Fatalf("another client suffers: %v", err)
	}

	frames := 0
	opcode, payload := slow.readFrame(t)
	for ; opcode == 0x81; opcode, payload = slow.readFrame(t) {
		frames++
	}
	if opcode != 0x88 || string(payload[:2]) != code {
		t.Fatalf("after %d frames: %x % x, want a close frame with % x", frames, opcode, payload, code)
	}
	if rest, err := io.ReadAll(slow.r); len(rest) > 0 || err != nil {
		t.Errorf("after the close frame came %d bytes, %v", len(rest), err)
	}
	eventually(t, "all is accounted for", func() bool { s := r.server.Stats(); return s.Waiting == 0 && s.QueuedBytes == 0 })
	s := r.server.Stats()
	// A write of one frame can take the kernel's room in two parts, of which the client sees one frame.
	if s.Sent != uint64(frames)+1 || s.Failed[reason] != 1 || s.Failed["connection_closed"] == 0 {
		t.Errorf("the client saw %d frames; sent %d (one to another), failed %v", frames, s.Sent, s.Failed)
	}
	r.balanced()
	return false
}

// The queues of all connections together are bounded, and a client that reads
// feels nothing of it.
func TestQueuesOfAllConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	const total = 1 << 20
	r := start(t, func(c *Config) { c.QueueTotal = total })
	for i := range 8 {
		r.upgrade(fmt.Sprint("slow", i))
	}
	quick := r.connect("quick")
	padding := strings.Repeat("x", 50_000)
	eventually(t, "notifications are dropped for every slow one", func() bool {
		for i := range 8 {
			r.deliver(fmt.Sprint("slow", i), `{"type":"n","payload":"`+padding+`"}`)
		}
		if queued := r.server.Stats().QueuedBytes; queued > total+8*len(padding)*2 {
			t.Fatalf("%d bytes are queued", queued)
		}
		return r.server.Stats().Failed["queues_full"] > 100
	})
	for i := range 100 {
		r.deliver("quick", `{"type":"still quick","payload":"`+padding+`"}`)
		if _, _, err := quick.ReadMessage(); err != nil {
			t.Fatalf("after %d another client suffers: %v", i, err)
		}
	}
	if full := r.server.Stats().Failed["queue_full"]; full != 0 {
		t.Errorf("%d were dropped because of one connection's bound, which was not reached", full)
	}
	r.balanced()
}

// bubble is a loop without its goroutine, in a test whose clock stands still but for
// Sleep.
func bubble(t *testing.T, test func(t *testing.T, l *loop)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, sleeper(t)) })
}

// fill delivers n notifications of some size.
func (c *conn) fill(n, size int) {
	l := c.loop
	for i := range n {
		c.Deliver(&hub.Notification{Frame: make([]byte, size), Arrived: l.server.cfg.Hub.Clock()})
		if i%(mailbox.Handoff-1) == 0 {
			l.server.Flush() // of more than these a loop without a goroutine hears nothing
		}
	}
	l.server.Flush()
}

// stallOn delivers until the kernel takes no more, and one is left that waits whole.
func (l *loop) stallOn(t *testing.T, c *conn) {
	t.Helper()
	for range 1000 {
		if c.fill(1, 32<<10); c.stalled() && c.out.Len() > 1 {
			return
		}
	}
	t.Fatal("the kernel takes everything")
}

// read takes up to n bytes out of a socket.
func readSome(t *testing.T, fd, n int) {
	t.Helper()
	if _, err := unix.Read(fd, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
}

// lost returns what was lost for want of room, by reason.
func (l *loop) lost() map[string]uint64 {
	lost := map[string]uint64{}
	for _, why := range []failure{failedSlow, failedFull, failedMemory} {
		if n := l.stats.failed[why].Load(); n > 0 {
			lost[failureNames[why]] = n
		}
	}
	return lost
}

// expectLost checks what was lost.
func (l *loop) expectLost(t *testing.T, when, want string) {
	t.Helper()
	if got := strings.TrimPrefix(fmt.Sprint(l.lost()), "map"); got != want {
		t.Fatalf("%s: lost %s, want %s", when, got, want)
	}
}

// A client that has taken nothing for a second may keep QueueMessages waiting, and no
// other is bound by their number.
func TestManyMayWaitForASecond(t *testing.T) {
	bubble(t, func(t *testing.T, l *loop) {
		l.rules(func(r *Rules) { r.QueueMessages = 20 })
		c, client := l.connect(t)
		l.stallOn(t, c)
		c.fill(500, 100)
		time.Sleep(sendqueue.SlowAfter - time.Millisecond)
		c.fill(500, 100)
		l.expectLost(t, "within the second", "[]")
		time.Sleep(time.Millisecond)
		c.fill(3, 100)
		l.expectLost(t, "when it is over", "[slow_consumer:3]")
		readSome(t, client, 32<<10) // the kernel takes no more yet, but the client has
		time.Sleep(retryEvery)
		c.fill(500, 100)
		l.expectLost(t, "when the client has taken something", "[slow_consumer:3]")
		time.Sleep(sendqueue.SlowAfter)
		c.fill(1, 100)
		l.expectLost(t, "a second later", "[slow_consumer:4]")
	})
}

// A notification that overflows the bytes of a queue is lost, and the client called slow only if it has
// been behind for a second.
func TestBytesThatWaitAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, l *loop) {
		const frame = 10_000
		l.rules(func(r *Rules) { r.QueueBytes = 1 << 20 })
		c, _ := l.connect(t)
		l.stallOn(t, c)
		c.fill(200, frame)
		cost := c.out.Cost()
		if room := 1<<20 - cost; room < 0 || room >= frame+sendqueue.NotificationCost+sendqueue.PlaceCost {
			t.Errorf("%d bytes wait", cost)
		}
		lost := l.lost()["queue_full"]
		if lost == 0 || len(l.lost()) != 1 {
			t.Fatalf("lost %v", l.lost())
		}
		time.Sleep(sendqueue.SlowAfter)
		c.fill(1, frame)
		l.expectLost(t, "a second later", fmt.Sprintf("[queue_full:%d slow_consumer:1]", lost))
	})
}

// The kernel is offered what waits before anything is lost, whether or not epoll has
// said yet that it takes more.
func TestNothingIsLostBeforeAWriteWasTried(t *testing.T) {
	bubble(t, func(t *testing.T, l *loop) {
		l.rules(func(r *Rules) { r.QueueBytes = 1 << 20 })
		c, client := l.connect(t)
		l.stallOn(t, c)
		for c.out.Cost()+33<<10 < 1<<20 {
			c.fill(1, 32<<10)
		}
		l.expectLost(t, "full to the brim", "[]")
		for range 20 {
			time.Sleep(retryEvery)
			readSome(t, client, 64<<10)
			c.fill(1, 60<<10)
		}
		l.expectLost(t, "while the client reads", "[]")
		if !c.stalled() {
			t.Error("the kernel took everything: the test shows nothing")
		}
	})
}

// A burst is written as it comes, and not when all of it is there.
func TestABatchIsWrittenInItsMiddle(t *testing.T) {
	bubble(t, func(t *testing.T, l *loop) {
		c, _ := l.connect(t)
		before := l.stats.Writes.Load()
		c.fill(40, 4<<10) // 160 KiB, of which a socket pair takes all
		if writes := l.stats.Writes.Load() - before; writes < 3 || writes > 4 {
			t.Errorf("%d writes, want three: two of %d bytes, and the rest", writes, flushSize)
		}
		l.expectLost(t, "at the end", "[]")
	})
}

// When memory is short the fullest queue pays, with what came to it last.
func TestTheFullestPays(t *testing.T) {
	bubble(t, func(t *testing.T, l *loop) {
		l.rules(func(r *Rules) { r.QueueTotal = 1 << 20 })
		greedy, _ := l.connect(t)
		modest, _ := l.connect(t)
		l.stallOn(t, modest)
		l.stallOn(t, greedy)
		greedy.fill(200, 10_000)
		lost := l.lost()["queues_full"]
		if lost == 0 || len(l.lost()) != 1 {
			t.Fatalf("lost %v", l.lost())
		}
		before, waiting := modest.out.Len(), greedy.out.Len()
		modest.fill(30, 10_000)
		if got := modest.out.Len(); got != before+30 {
			t.Errorf("%d wait for the modest one, want %d", got, before+30)
		}
		if got := greedy.out.Len(); got >= waiting || got < waiting-31 {
			t.Errorf("%d wait for the greedy one, before %d", got, waiting)
		}
		if used := l.server.queues.Bytes(); used > 1<<20 {
			t.Errorf("%d bytes are used", used)
		}
	})
}

// Of the fullest queues, those of clients that have taken nothing for a while pay: in a burst, a client that reads as fast
// as it can has a full queue too.
func TestTheIdlePayFirst(t *testing.T) {
	bubble(t, func(t *testing.T, l *loop) {
		l.rules(func(r *Rules) { r.QueueTotal, r.QueueMessages = 1<<20, 1000 })
		idle, _ := l.connect(t)
		quick, client := l.connect(t)
		l.stallOn(t, idle)
		idle.fill(20, 10_000)
		time.Sleep(sendqueue.SlowAfter)
		l.stallOn(t, quick)
		for quick.out.Cost() <= 2*idle.out.Cost() {
			quick.fill(1, 10_000)
		}
		waiting := idle.out.Len()
		for l.server.queues.Bytes() < 900<<10 {
			quick.fill(1, 10_000)
		}
		readSome(t, client, 4096)
		quick.fill(10, 10_000)
		if got := idle.out.Len(); got >= waiting || l.lost()["queues_full"] != uint64(waiting-got) {
			t.Errorf("lost %v, of them the idle one %d", l.lost(), waiting-got)
		}
	})
}

// The fullest queue may be another loop's, which sheds when it gets to it. Until then there is the
// reserve, and then the connections of this loop pay.
func TestTheFullestOfAnotherLoopPays(t *testing.T) {
	bubble(t, func(t *testing.T, l *loop) {
		m := sleeper(t)
		m.server = l.server
		l.server.loops = append(l.server.loops, m)
		const total = 4 << 20
		l.rules(func(r *Rules) { r.QueueTotal = total })
		greedy, _ := m.connect(t)
		modest, _ := l.connect(t)
		m.stallOn(t, greedy)
		greedy.fill(500, 10_000)
		waiting := greedy.out.Len()
		l.stallOn(t, modest)
		modest.fill(3, 10_000)
		l.expectLost(t, "within the reserve", "[]")
		m.tasks.run(func() {})
		if got := greedy.out.Len(); got >= waiting {
			t.Errorf("%d wait for the greedy one, %d did before it was asked", got, waiting)
		}
		if used := m.server.queues.Bytes(); used > total-total/reserveShare {
			t.Errorf("%d bytes are used when the other loop has shed", used)
		}
		before := len(l.lost())
		modest.fill(100, 10_000) // the other loop is not there
		if used := l.server.queues.Bytes(); used > total || len(l.lost()) == before {
			t.Errorf("%d bytes are used, lost %v", used, l.lost())
		}
	})
}

// A stream that hundreds of slow clients wait for is in memory once: it fills nothing,
// and a client that reads loses nothing.
func TestSlowReadersOfOneStreamAndAQuickOne(t *testing.T) {
	t.Parallel()
	const slow, stream, frame = 300, 200, 10_000
	r := start(t, func(c *Config) { c.QueueTotal, c.WriteWait = 8<<20, time.Hour })
	for range slow {
		r.upgrade("slow")
	}
	quick := r.connect("quick")
	var reading sync.WaitGroup
	const each = 10
	ahead := make(chan struct{}, 100) // notifications that the quick one has not read
	reading.Go(func() {
		var err error
		for range stream * each { // to the end, or those who deliver would wait for ever
			<-ahead
			if err == nil {
				if _, _, err = quick.ReadMessage(); err != nil {
					t.Errorf("the quick one: %v", err)
				}
			}
		}
	})
	payload := `{"type":"n","payload":"` + strings.Repeat("x", frame) + `"}`
	for range stream {
		r.deliver("slow", payload)
		for range each {
			ahead <- struct{}{}
			r.hub.Deliver("quick", payload)
		}
		r.server.Flush()
	}
	reading.Wait()
	eventually(t, "all is in write queues", func() bool { s := r.server.Stats(); return s.MailboxItems() == 0 && s.Waiting == uint64(s.Queued) })
	s := r.server.Stats()
	if s.FailedTotal() != 0 {
		t.Errorf("lost %v", s.Failed)
	}
	if s.Queued < slow*stream/2 || s.QueuedBytes > 2*stream*frame+slow*stream*sendqueue.PlaceCost {
		t.Errorf("%d wait, in %d bytes", s.Queued, s.QueuedBytes)
	}
	r.balanced()
}
