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
)

// burst is what is published for one user at once.
type burst struct{ count, size int }

func (b burst) String() string {
	return fmt.Sprintf("%s × %s", thousands(float64(b.count)), sizeText(b.size))
}

// pad is how much content a notification of that size needs besides its note.
func (b burst) pad() int {
	least := len(note.Note{User: 10_000, Seq: 1000, At: math.MaxInt64}.Append(nil, 0))
	return max(b.size-least, 0)
}

// oneKB is a burst that a client which reads at 500 bytes a second takes half an hour for.
var oneKB = burst{1000, 1000}

// open connects one user with count connections, each able to read at speed, and waits until each hears what is
// published.
func (m *burstMeasurement) open(target raw.Target, count int, speed readers.Speed) (*audience, error) {
	a := &audience{user: m.user, readers: make([]*readers.Reader, count)}
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
	if err := m.awaitHeard(a); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// awaitHeard publishes one notification after the other until each reader has got one: servers differ in whether they
// know a client before they answer it.
func (m *burstMeasurement) awaitHeard(a *audience) error {
	began := time.Now()
	for {
		if err := m.bursts.Burst(a.user, 1, 0); err != nil {
			return err
		}
		if awaitCount(m.env.ctx, time.Second, a.least, 1); a.least() > 0 {
			break
		}
		if err := a.err(); err != nil || time.Since(began) > burstPatience {
			return fmt.Errorf("user %d does not get what is published for it: %w", a.user, err)
		}
	}
	published := int(m.bursts.Published(a.user))
	awaitCount(m.env.ctx, time.Second, a.least, published)
	for _, r := range a.readers {
		r.Expect(m.bursts.Published(a.user))
	}
	return nil
}

// audience is all connections of one user.
type audience struct {
	user    int
	readers []*readers.Reader
}

func (a *audience) close() {
	for _, r := range a.readers {
		if r != nil {
			r.Close()
		}
	}
}

func (a *audience) setSpeed(s readers.Speed) {
	for _, r := range a.readers {
		r.SetSpeed(s)
	}
}

// received is how many notifications all connections together have got.
func (a *audience) received() int {
	n := 0
	for _, r := range a.readers {
		n += r.Result().Received
	}
	return n
}

// least is how many the connection has got that has the fewest.
func (a *audience) least() int {
	least := math.MaxInt
	for _, r := range a.readers {
		least = min(least, r.Result().Received)
	}
	return least
}

// lost is how many connections have ended.
func (a *audience) lost() int {
	n := 0
	for _, r := range a.readers {
		if !r.Result().Ended.IsZero() {
			n++
		}
	}
	return n
}

// err is why the first connection that has ended did.
func (a *audience) err() error {
	for _, r := range a.readers {
		if got := r.Result(); got.Err != nil {
			return got.Err
		}
	}
	return nil
}

// wrong says whether a connection got what it should not, or not in order.
func (a *audience) wrong() error {
	for _, r := range a.readers {
		if n := r.Result().Wrong; n > 0 {
			return fmt.Errorf("user %d: %d notifications for others, twice, or out of order", a.user, n)
		}
	}
	return nil
}

// share publishes a burst for an audience and returns which share of it has come, in percent. Quiet is how long nothing
// has to come before the rest counts as lost.
func (m *burstMeasurement) share(a *audience, b burst, quiet time.Duration) (float64, error) {
	if err := m.bursts.Burst(a.user, b.count, b.pad()); err != nil {
		return 0, err
	}
	due := b.count * len(a.readers)
	awaitCount(m.env.ctx, quiet, a.received, due)
	return percent(a.received(), due), a.wrong()
}
