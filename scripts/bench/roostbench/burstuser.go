package main

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/raw"
	"roost/bench/roostbench/internal/readers"
	"roost/bench/roostbench/internal/redispub"
)

// burst is what is published for one user at once.
type burst struct{ count, size int }

func (b burst) String() string {
	return fmt.Sprintf("%s × %s", thousands(float64(b.count)), sizeText(b.size))
}

// pad is how much content a notification of that size needs beyond its note.
func (b burst) pad() int {
	least := len(note.Note{User: 10_000, Seq: 1000, At: math.MaxInt64}.Append(nil, 0))
	return max(b.size-least, 0)
}

// oneKB is a burst that a client which reads at 500 bytes a second takes half an hour for.
var oneKB = burst{1000, 1000}

// open connects one user with count connections, each able to read at speed, and waits until each hears what is
// published.
func (m *burstMeasurement) open(target raw.Target, count int, speed readers.Speed) (*userConns, error) {
	a := &userConns{user: m.user, readers: make([]*readers.Reader, count)}
	m.user++
	failed := make([]error, count)
	var all sync.WaitGroup
	for i := range count {
		all.Go(func() { a.readers[i], failed[i] = readers.Open(m.env.ctx, target, a.user, speed) })
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		a.close()
		return nil, err
	}
	if err := m.awaitSubscribed(a); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// awaitSubscribed publishes one notification after the other until each reader has got one: servers differ in whether they
// know a client before they answer it. Then it waits for one more, behind which nothing of these is on its way.
func (m *burstMeasurement) awaitSubscribed(a *userConns) error {
	a.last = 0
	if err := m.awaitArrival(m.bursts, a); err != nil {
		return err
	}
	if err := m.bursts.Burst(a.user, 1, 0); err != nil {
		return err
	}
	last := m.bursts.Published(a.user)
	awaitCount(m.env.ctx, burstPatience, func() int { return int(a.least()) }, int(last))
	if a.least() != last {
		return fmt.Errorf("user %d does not get what is published for it: %w", a.user, a.err())
	}
	a.expect(last)
	return nil
}

// userConns is the connections of one user.
type userConns struct {
	user        int
	readers     []*readers.Reader
	first, last uint32 // numbers before the first, and of the last, notification that counts
}

// expect begins to count behind number n.
func (a *userConns) expect(n uint32) {
	a.first, a.last = n, n
	for _, r := range a.readers {
		r.Expect(n)
	}
}

func (a *userConns) close() {
	for _, r := range a.readers {
		if r != nil {
			r.Close()
		}
	}
}

func (a *userConns) setSpeed(s readers.Speed) {
	for _, r := range a.readers {
		r.SetSpeed(s)
	}
}

// least is the highest number that every connection has got.
func (a *userConns) least() uint32 {
	least := uint32(math.MaxUint32)
	for _, r := range a.readers {
		least = min(least, r.Result().Highest)
	}
	return least
}

// complete says whether each connection has got a number behind the last that counts, or has ended.
func (a *userConns) complete() bool {
	for _, r := range a.readers {
		if got := r.Result(); got.Highest <= a.last && got.Ended.IsZero() {
			return false
		}
	}
	return true
}

// received is how many notifications that count all connections together have got, and due how many they should have.
func (a *userConns) received() (received, due int) {
	due = int(a.last-a.first) * len(a.readers)
	received = due
	for _, r := range a.readers {
		received -= r.Lost(a.last)
	}
	return received, due
}

// lost is how many connections have ended.
func (a *userConns) lost() int {
	n := 0
	for _, r := range a.readers {
		if !r.Result().Ended.IsZero() {
			n++
		}
	}
	return n
}

// err is why the first connection that has ended did.
func (a *userConns) err() error {
	for _, r := range a.readers {
		if got := r.Result(); got.Err != nil {
			return got.Err
		}
	}
	return nil
}

// wrong says whether a connection got what it should not, or not in order.
func (a *userConns) wrong() error {
	for _, r := range a.readers {
		if n := r.Result().Wrong; n > 0 {
			return fmt.Errorf("user %d: %d notifications for others, twice, or out of order", a.user, n)
		}
	}
	return nil
}

// publish publishes a burst that counts.
func (m *burstMeasurement) publish(a *userConns, b burst) error {
	if err := m.bursts.Burst(a.user, b.count, b.pad()); err != nil {
		return err
	}
	a.last = m.bursts.Published(a.user)
	return nil
}

// markEvery is how often awaitArrival publishes.
const markEvery = 100 * time.Millisecond

// awaitArrival waits until the notifications that count have come, or are lost for certain: until one that was published
// behind them has come to each connection that is still open. That one may be lost too; then the next will come. It gives up
// when nothing at all moves for burstPatience.
func (m *burstMeasurement) awaitArrival(p *redispub.Publisher, a *userConns) error {
	last, since := a.progress(), time.Now()
	for !a.complete() && time.Since(since) < burstPatience {
		if err := p.Burst(a.user, 1, 0); err != nil {
			return err
		}
		for end := time.Now().Add(markEvery); !a.complete() && time.Now().Before(end); {
			if err := m.env.pause(time.Millisecond); err != nil {
				return err
			}
		}
		if now := a.progress(); now != last {
			last, since = now, time.Now()
		}
	}
	return a.wrong()
}

// progress moves with everything that comes.
func (a *userConns) progress() int {
	n := 0
	for _, r := range a.readers {
		n += r.Result().Received
	}
	return n
}

// share is which share of what counts has come, in percent.
func (a *userConns) share() float64 { return percent(a.received()) }
