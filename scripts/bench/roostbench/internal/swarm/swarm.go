package swarm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/wire"
)

// Swarm is many connections to one server. Its methods may be called by any
// goroutine, those that open and close by one at a time.
type Swarm struct {
	cfg   Config
	clock note.Clock
	loops []*loop
	done  sync.WaitGroup

	mu     sync.Mutex
	failed error // guarded by mu: a loop's end
}

// lookAgain is how often what is waited for is looked at.
const lookAgain = 5 * time.Millisecond

// New starts the loops. Clock is the publisher's, where there is one here.
func New(cfg Config, clock note.Clock) (*Swarm, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Swarm{cfg: cfg, clock: clock}
	for index := range cfg.Loops {
		l, err := newLoop(s, index)
		if err != nil {
			return nil, errors.Join(err, s.Stop())
		}
		s.loops = append(s.loops, l)
		s.done.Go(func() { s.ended(l.run()); l.retire() })
	}
	return s, nil
}

func (s *Swarm) ended(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = errors.Join(s.failed, err)
}

// loopOf is the loop that connection number n belongs to.
func (s *Swarm) loopOf(n int) *loop { return s.loops[n%len(s.loops)] }

// each runs fn for each loop, on it, and waits.
func (s *Swarm) each(fn func(*loop)) {
	for _, l := range s.loops {
		done := make(chan struct{})
		l.order(func() { fn(l); close(done) })
		<-done
	}
}

// Open opens connections number from to to-1 and waits until each is open or
// has failed, or ctx ends.
func (s *Swarm) Open(ctx context.Context, from, to int, pace Pace) error {
	if to > MaxConnections {
		return fmt.Errorf("%d connections: a process may have %d at most", to, MaxConnections)
	}
	if pace.InFlight <= 0 {
		pace.InFlight = 256
	}
	share := Pace{Rate: pace.Rate / float64(len(s.loops)), InFlight: max(pace.InFlight/len(s.loops), 1)}
	s.each(func(l *loop) {
		l.opening.pace, l.opening.start, l.opening.begun = share, time.Now(), 0
		for n := from; n < to; n++ {
			if s.loopOf(n) == l {
				l.enqueue(n)
			}
		}
	})
	return s.wait(ctx, func(now Stats) bool { return now.Waiting == 0 })
}

// enqueue puts a connection into the queue of those to be opened.
func (l *loop) enqueue(n int) {
	c := l.conns[n]
	if c == nil {
		c = &conn{loop: l, number: n, user: l.swarm.cfg.user(n), fd: -1, stalled: n < l.swarm.cfg.Stalled}
		l.conns[n] = c
	}
	if c.state == closed {
		l.opening.queue = append(l.opening.queue, c)
		l.stats.Waiting.Add(1)
	}
}

// wait waits until ok says so.
func (s *Swarm) wait(ctx context.Context, ok func(Stats) bool) error {
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for !ok(s.Stats()) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		s.mu.Lock()
		failed := s.failed
		s.mu.Unlock()
		if failed != nil {
			return failed
		}
	}
	return nil
}

// RecordFrom throws away the latencies so far and measures only what is
// published from now on.
func (s *Swarm) RecordFrom(moment int64) {
	s.each(func(l *loop) {
		l.recordFrom = moment
		l.latencies.Reset()
	})
}

// Leave closes connections number from and up as a browser does, with a close
// frame, and waits until the server has closed too, or ctx ends.
func (s *Swarm) Leave(ctx context.Context, from int) error {
	s.each(func(l *loop) {
		for _, c := range l.conns {
			if c.number >= from && c.state == open && !c.stalled {
				c.state = leaving
				if err := c.write(wire.AppendFrame(nil, wire.Close, []byte{0x03, 0xE8}, l.random.Uint32())); err != nil {
					l.ended(c, err)
				}
			}
		}
	})
	return s.wait(ctx, func(now Stats) bool { return now.Open <= from })
}

// Say has each open connection send a message of n bytes in text.
func (s *Swarm) Say(n int) {
	text := bytes.Repeat([]byte("x"), n)
	s.each(func(l *loop) {
		for _, c := range l.conns {
			if c.state != open || c.stalled {
				continue
			}
			if err := c.write(wire.AppendFrame(nil, wire.Text, text, l.random.Uint32())); err != nil {
				l.ended(c, err)
			}
		}
	})
}

// Stop cuts what is still open and ends the loops. The results stay.
func (s *Swarm) Stop() error {
	for _, l := range s.loops {
		l.order(l.cut)
	}
	s.done.Wait()
	return s.failed
}

// cut resets every connection, so that no port rests for a minute, and has the
// loop end.
func (l *loop) cut() {
	for _, c := range l.conns {
		if c.fd >= 0 {
			_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
			_ = unix.Close(c.fd)
			c.fd, c.state = -1, closed
		}
	}
	l.quit = true
}

// retire is the end of the goroutine: from now on order runs things where it is
// called.
func (l *loop) retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	for _, fn := range l.orders {
		fn()
	}
	l.orders = nil
	_, _ = unix.Close(l.poll), unix.Close(l.bell)
}
