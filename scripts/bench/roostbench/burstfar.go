package main

import (
	"errors"
	"fmt"
	"time"

	"roost/bench/roostbench/internal/netem"
	"roost/bench/roostbench/internal/readers"
	"roost/bench/roostbench/internal/redispub"
)

// farCase is what is published for one client at the other end of a path.
type farCase struct {
	trip time.Duration // the round trip
	rate int           // of the path, bytes a second
	loss float64
	burst
	steady int // notifications of the burst's size a second instead of all at once; 0: a burst
}

// farCases are bursts, and then steady traffic that takes four fifths of the path, or of what TCP makes of a path that
// loses packets.
func farCases() []farCase {
	return []farCase{
		{trip: 20 * time.Millisecond, rate: 10_000_000, burst: oneKB},
		{trip: 50 * time.Millisecond, rate: 2_000_000, burst: oneKB},
		{trip: 100 * time.Millisecond, rate: 2_000_000, burst: oneKB},
		{trip: 300 * time.Millisecond, rate: 10_000_000, burst: oneKB},
		{trip: 300 * time.Millisecond, rate: 300_000, burst: oneKB},
		{trip: 300 * time.Millisecond, rate: 2_000_000, burst: burst{3300, 1000}}, // 4 MiB of memory
		{trip: 100 * time.Millisecond, rate: 2_000_000, loss: 0.01, burst: oneKB},
		{trip: 50 * time.Millisecond, rate: 2_000_000, burst: burst{8000, 1000}, steady: 1600},
		{trip: 300 * time.Millisecond, rate: 300_000, burst: burst{1200, 1000}, steady: 240},
		{trip: 100 * time.Millisecond, rate: 2_000_000, loss: 0.01, burst: burst{500, 1000}, steady: 100},
	}
}

func (f farCase) String() string {
	text := fmt.Sprintf("%s at %s and %s/s", f.burst, f.trip, sizeText(f.rate))
	if f.steady > 0 {
		text = fmt.Sprintf("%s/s of %s at %s and %s/s", thousands(float64(f.steady)), sizeText(f.size), f.trip, sizeText(f.rate))
	}
	if f.loss > 0 {
		text += fmt.Sprintf(", %v%% lost", 100*f.loss)
	}
	return text
}

// link is one direction of the path, with a router that keeps what is in flight once more.
func (f farCase) link() netem.Link {
	return netem.Link{
		Delay: f.trip / 2, Rate: f.rate, Loss: f.loss,
		Queue: max(int(f.trip.Seconds()*float64(f.rate)), leastQueue),
	}
}

const leastQueue = 64_000

// farClients measures each case with a client of its own.
func (m *burstMeasurement) farClients() error {
	path, err := netem.Open()
	if err != nil {
		return err
	}
	cases := farCases()
	if m.Far > 0 {
		cases = cases[:min(m.Far, len(cases))]
	}
	for _, f := range cases {
		if err = m.far(path, f); err != nil {
			err = fmt.Errorf("%s: %w", f, err)
			break
		}
	}
	return errors.Join(err, path.Close(), m.env.ctx.Err())
}

func (m *burstMeasurement) far(path *netem.Path, f farCase) error {
	m.say("%s", f)
	path.Set(netem.Link{Delay: f.trip / 2}) // nothing is lost while connecting
	a, err := m.open(m.within(path), 1, readers.Full)
	if err != nil {
		return err
	}
	defer a.close()
	path.Set(f.link())
	if f.steady > 0 {
		err = m.steady(a, f)
	} else if err = m.publish(a, f.burst); err == nil {
		err = m.awaitArrival(m.bursts, a)
	}
	m.report.Add(figFar+f.String(), a.share(), "%")
	return err
}

// steady publishes the notifications of a burst one after the other.
func (m *burstMeasurement) steady(a *userConns, f farCase) error {
	p, err := redispub.New(redispub.Config{
		Redis: m.stand.redis.Addrs()[0], Rate: f.steady, Pad: f.pad(), Pattern: redispub.Pattern{First: a.user, Users: 1}, Dialect: m.dialect,
	}, m.clock)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	a.expect(0) // this publisher begins with number 1
	if _, err := p.RunCount(m.env.ctx, f.count); err != nil {
		return err
	}
	a.last = p.Published(a.user)
	return m.awaitArrival(p, a)
}
