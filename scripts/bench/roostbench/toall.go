package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"roost/bench/roostbench/internal/redispub"
)

// The burst goes out as fast as it arrives.
const (
	burstRate   = 100_000
	burstWindow = 20_000
	burstPad    = 100
)

// toAll is how notifications to all users went.
type toAll struct{ published, missing int }

// publisherToAll returns a publisher of notifications with so many bytes of content, to the users in turn, once the server
// listens. The caller closes it.
func (m *measurement) publisherToAll(redis netip.AddrPort, users, perUser, rate, pad int) (*redispub.Publisher, error) {
	p, err := redispub.New(redispub.Config{
		Redis: redis, Rate: rate, Batch: time.Millisecond, Pad: pad, FanOut: perUser, Dialect: m.config.Dialect,
		Pattern: redispub.Pattern{First: m.flags.FirstUser, Users: users, InTurn: true},
		Window:  burstWindow, Arrived: func() int { return m.swarm.Stats().Received },
	}, m.clock)
	if err != nil {
		return nil, err
	}
	if err := p.AwaitSubscriber(m.env.ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// publishToAll publishes so many notifications to each of the first users, and waits until they have come or nothing comes
// any more. Missing are those of all that p has published.
func (m *measurement) publishToAll(p *redispub.Publisher, users, each int) (toAll, error) {
	p.Among(users)
	before := m.swarm.Stats().Received
	run, err := p.RunCount(m.env.ctx, each*users)
	if err != nil {
		return toAll{}, fmt.Errorf("publishing to all: %w", err)
	}
	m.await(p, before+run.Expected)
	return toAll{published: run.Published, missing: m.swarm.Missing(p.Published)}, m.env.ctx.Err()
}

// patience is how long nothing may arrive before what is missing counts as lost.
const patience = 15 * time.Second

// still is how long nothing arrives before it is asked whether anything is on its way.
const still = 200 * time.Millisecond

// await waits until all that is expected has come, or the latest of what was published has come to each connection, or nothing
// has come for a while.
func (m *measurement) await(p *redispub.Publisher, expected int) {
	last, since := -1, time.Now()
	for time.Since(since) < patience {
		got := m.swarm.Stats().Received
		if got >= expected {
			return
		}
		if got != last {
			last, since = got, time.Now()
		}
		if time.Since(since) > still && m.swarm.Behind(p.Published) == 0 {
			return
		}
		if m.pause(time.Millisecond) != nil {
			return
		}
	}
}
