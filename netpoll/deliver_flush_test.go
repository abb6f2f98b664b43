package netpoll

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"roost/hub"
	"roost/netpoll/internal/mailbox"
	"roost/wsproto/auth"
	"roost/wsproto/handshake"
)

// sleeper is a loop without its goroutine: it sleeps for ever, and whatever
// happens to its connections others do.
func sleeper(t testing.TB) *loop {
	t.Helper()
	cfg := Config{Rules: Rules{Upgrader: newUpgrader(t, auth.Config{}, handshake.Config{})}, Hub: hub.New(hub.Config{})}.withDefaults(1)
	s := &Server{cfg: cfg, log: slog.New(slog.DiscardHandler), lines: newConnLog(slog.New(slog.DiscardHandler), 0), started: time.Now().Add(-time.Second), tickLength: cfg.tickLength()}
	s.rules.Store(newRules(cfg.Rules, cfg.Loops, nil))
	s.lossLog = newLossLog(s.log)
	l, err := newLoop(s, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.loops = []*loop{l}
	t.Cleanup(s.closePollers)
	l.pollTimeout()
	return l
}

// rules changes what the loop goes by.
func (l *loop) rules(change func(*Rules)) {
	next := l.server.rules.Load().Rules
	change(&next)
	l.server.rules.Store(newRules(next, 1, nil))
}

// connect gives the loop an open connection and returns the client's end of it.
func (l *loop) connect(t testing.TB) (c *conn, client int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := l.server
	t.Cleanup(func() {
		if s.conns.Get(int32(pair[0])) == c { // else it is closed, and its number may be another test's
			_ = unix.Close(pair[0])
		}
		_ = unix.Close(pair[1])
	})
	if err := l.poll.add(pair[0], int32(pair[0])); err != nil {
		t.Fatal(err)
	}
	l.asleep = false
	l.newConn(pair[0], netip.AddrPort{}, false)
	c = l.server.conns.Get(int32(pair[0]))
	c.extra.hs.end()
	c.putExtra()
	c.state = stateOpen
	l.pollTimeout()
	return c, pair[1]
}

// rung reports whether somebody woke the loop.
func (l *loop) rung(t *testing.T) bool {
	t.Helper()
	events := make([]unix.EpollEvent, 4)
	n, err := l.poll.wait(events, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events[:n] {
		if e.Fd == wakeMark {
			return true
		}
	}
	return false
}

func TestFlushWritesForALoopThatSleeps(t *testing.T) {
	t.Parallel()
	l := sleeper(t)
	c, client := l.connect(t)
	for range 3 {
		c.Deliver(&hub.Notification{Frame: []byte("abc")})
	}
	l.server.Flush()
	got := make([]byte, 16)
	if n, err := unix.Read(client, got); err != nil || string(got[:n]) != "abcabcabc" {
		t.Errorf("the client got %q, %v", got[:max(n, 0)], err)
	}
	if l.rung(t) {
		t.Error("the loop was woken")
	}
}

func TestManyDeliveriesWakeTheLoop(t *testing.T) {
	t.Parallel()
	l := sleeper(t)
	c, _ := l.connect(t)
	for range mailbox.Handoff - 1 {
		c.Deliver(&hub.Notification{Frame: []byte("abc")})
	}
	if l.rung(t) {
		t.Errorf("the loop was woken for fewer than %d", mailbox.Handoff)
	}
	c.Deliver(&hub.Notification{Frame: []byte("abc")})
	if !l.rung(t) {
		t.Errorf("the loop was not woken for %d", mailbox.Handoff)
	}
}

// Few for each loop, but many in all: they write at the same time.
func TestFlushWakesManyLoops(t *testing.T) {
	t.Parallel()
	l, m := sleeper(t), sleeper(t)
	l.server.loops = append(l.server.loops, m)
	for _, loop := range l.server.loops {
		c, _ := loop.connect(t)
		for range mailbox.Handoff / 2 {
			c.Deliver(&hub.Notification{Frame: []byte("abc")})
		}
	}
	l.server.Flush()
	if !l.rung(t) || !m.rung(t) {
		t.Error("a loop was not woken")
	}
}

func TestFlushLeavesALoopAtWorkToItself(t *testing.T) {
	t.Parallel()
	l := sleeper(t)
	c, client := l.connect(t)
	c.Deliver(&hub.Notification{Frame: []byte("abc")})
	l.mu.Lock()
	l.server.Flush()
	l.mu.Unlock()
	if n, err := unix.Read(client, make([]byte, 16)); err != unix.EAGAIN {
		t.Errorf("%d bytes were written by somebody else: %v", n, err)
	}
	if !l.rung(t) {
		t.Error("the loop does not know of the notification")
	}
}

// A client that takes nothing while the loop sleeps has to be ended in time:
// the loop's sleep was meant to last longer.
func TestStallDuringFlushWakesTheLoop(t *testing.T) {
	t.Parallel()
	l := sleeper(t)
	c, _ := l.connect(t)
	l.wheel.Disarm(c)
	l.armed = 0
	c.Deliver(&hub.Notification{Frame: make([]byte, 4<<20)})
	l.server.Flush()
	if !c.stalled() {
		t.Fatal("the kernel took all of it")
	}
	if !l.rung(t) {
		t.Error("the loop sleeps on")
	}
}

// Deliveries may go on through Shutdown: late ones are counted.
func TestDeliveringThroughShutdown(t *testing.T) {
	t.Parallel()
	for range 5 {
		r := start(t, func(c *Config) { c.LingerTimeout = 20 * time.Millisecond })
		for range 4 {
			r.connect("alice")
		}
		conns, stop := r.handles(), make(chan struct{})
		var feeds sync.WaitGroup
		for range 2 {
			feeds.Go(func() { r.deliverUntil(stop, conns) })
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_ = r.server.Shutdown(ctx, GoingAway()) // the clients don't read: they are cut
		cancel()
		close(stop)
		feeds.Wait()
		r.balanced()
		if s := r.server.Stats(); s.Waiting != 0 {
			t.Errorf("%d notifications wait for nobody", s.Waiting)
		}
	}
}

// deliverUntil delivers to some handles, also when their connections have gone.
func (r *rig) deliverUntil(stop <-chan struct{}, conns []*conn) {
	n := &hub.Notification{Frame: []byte("\x81\x03abc")}
	for {
		select {
		case <-stop:
			return
		default:
		}
		for _, c := range conns {
			c.Deliver(n)
		}
		r.server.Flush()
	}
}

// handles returns all connections.
func (r *rig) handles() (all []*conn) {
	for _, l := range r.server.loops {
		found := make(chan []*conn)
		l.do(func() {
			var conns []*conn
			l.wheel.Each(func(c *conn) { conns = append(conns, c) })
			found <- conns
		})
		all = append(all, <-found...)
	}
	return all
}
