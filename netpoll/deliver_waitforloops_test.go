package netpoll

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"roost/hub"
)

// readers opens connections of which everything is read.
func (r *rig) readers(n int) {
	r.t.Helper()
	var reading sync.WaitGroup
	r.t.Cleanup(reading.Wait) // comes last: the clients close before
	for i := range n {
		client := r.upgrade(fmt.Sprint("user-", i))
		reading.Go(func() { _, _ = io.Copy(io.Discard, client) })
	}
}

// TestWaitForLoops: when it returns nothing of what was delivered waits, neither in a mailbox nor in a loop's
// hands.
func TestWaitForLoops(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.readers(40)
	conns := r.handles()
	n := &hub.Notification{Frame: []byte("\x81\x03abc")}
	for round := range 200 {
		for range 1 + round%5 { // few, which are written here, or so many that the loops are woken
			for _, c := range conns {
				c.Deliver(n)
			}
		}
		r.server.WaitForLoops(t.Context(), round%2 == 0)
		if s := r.server.Stats(); s.Waiting != 0 {
			t.Fatalf("round %d: %d notifications wait", round, s.Waiting)
		}
	}
	r.balanced()
}

// TestWaitForLoopsIsHeldUpByALoop that does not get to its mail, until it does, or there is no time for that.
func TestWaitForLoopsIsHeldUpByALoop(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.readers(2)
	conns := r.handles()
	release := conns[0].loop.hold()
	defer release()
	waited := func(ctx context.Context) chan struct{} {
		done := make(chan struct{})
		for _, c := range conns {
			c.Deliver(&hub.Notification{Frame: []byte("\x81\x03abc")})
		}
		go func() { r.server.WaitForLoops(ctx, false); close(done) }()
		return done
	}
	ctx, cancel := context.WithCancel(t.Context())
	waits := waited(ctx)
	select {
	case <-waits:
		t.Error("it did not wait")
	case <-time.After(30 * time.Millisecond):
	}
	cancel()
	<-waits
	<-waited(ctx) // at once
	waits = waited(t.Context())
	release()
	<-waits
	if s := r.server.Stats(); s.Waiting != 0 || s.Sent != 6 {
		t.Errorf("%d wait, and %d were sent", s.Waiting, s.Sent)
	}
}

// TestWaitForLoopsDuringShutdown: loops that end do nothing of what they are asked any more.
func TestWaitForLoopsDuringShutdown(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.readers(2)
	conns := r.handles()
	release := conns[0].loop.hold()
	defer release()
	conns[0].Deliver(&hub.Notification{Frame: []byte("\x81\x03abc")})
	returned, shut := make(chan struct{}), make(chan struct{})
	go func() { r.server.WaitForLoops(t.Context(), true); close(returned) }()
	go func() { _ = r.server.Shutdown(t.Context(), GoingAway()); close(shut) }()
	<-returned // although the loop has done nothing
	release()
	<-shut
	r.balanced()
}

// TestWaitForLoopsAfterShutdown: loops that have ended are not waited for.
func TestWaitForLoopsAfterShutdown(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.readers(4)
	conns := r.handles()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.server.Shutdown(ctx, GoingAway()); err != nil {
		t.Fatal(err)
	}
	for _, c := range conns {
		c.Deliver(&hub.Notification{Frame: []byte("\x81\x03abc")})
	}
	r.server.WaitForLoops(t.Context(), true)
	r.balanced()
}

// TestBroadcastLeavesRoom: of a broadcast no more than a chunk is ever under way, and so nothing that comes meanwhile
// waits behind more.
func TestBroadcastLeavesRoom(t *testing.T) {
	t.Parallel()
	const connections, total = 300, 10
	r := start(t, nil)
	r.readers(connections)
	for range total {
		r.hub.Broadcast(`{"type":"x"}`)
	}
	go r.hub.EndBroadcasts(t.Context())
	chunks := 0
	r.hub.RunBroadcasts(func() {
		if n := r.server.Stats().Waiting; n > 128 {
			t.Errorf("%d notifications are under way, want 128 at most", n)
		}
		r.server.WaitForLoops(t.Context(), true)
		chunks++
	})
	if s := r.server.Stats(); s.Sent != connections*total || chunks < connections*total/128 {
		t.Errorf("%d were sent in %d chunks, want %d", s.Sent, chunks, connections*total)
	}
	r.balanced()
}

// TestFlushFromTwoSides: two callers at once leave nothing behind in the mailbox of a loop that sleeps.
func TestFlushFromTwoSides(t *testing.T) {
	t.Parallel()
	const rounds = 3_000
	r := start(t, nil)
	r.readers(6)
	conns := r.handles()
	var sides sync.WaitGroup
	for side := range 2 {
		sides.Go(func() {
			n := &hub.Notification{Frame: []byte("\x81\x03abc")}
			for i := range rounds {
				for range 1 + i%3 {
					conns[(i*7+side)%len(conns)].Deliver(n)
				}
				r.server.Flush()
			}
		})
	}
	sides.Wait()
	eventually(t, "all to be sent", func() bool { return r.server.Stats().Waiting == 0 })
	if s := r.server.Stats(); s.Sent+s.FailedTotal() != 2*rounds*2 { // a client that is not scheduled may be slow
		t.Errorf("%d were sent, want %d; failed %v", s.Sent, 2*rounds*2, s.Failed)
	}
}
