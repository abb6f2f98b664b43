package main

import (
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

// publishToAll publishes count notifications with so many bytes of content, to the users in turn, and waits
// until they have come or nothing comes any more.
func (m *measurement) publishToAll(redis netip.AddrPort, users, perUser, count, rate, pad int) (toAll, error) {
	p, err := redispub.New(redispub.Config{
		Redis: redis, Rate: rate, Batch: time.Millisecond, Pad: pad, FanOut: perUser, Dialect: m.config.Dialect,
		Pattern: redispub.Pattern{First: m.flags.FirstUser, Users: users, InTurn: true},
		Window:  burstWindow, Arrived: func() int { return m.swarm.Stats().Received },
	}, m.clock)
	if err != nil {
		return toAll{}, err
	}
	defer p.Close()
	if err := p.AwaitSubscriber(m.env.ctx); err != nil {
		return toAll{}, err
	}
	run, err := p.RunCount(m.env.ctx, count)
	if err != nil {
		return toAll{}, fmt.Errorf("publishing to all: %w", err)
	}
	m.await(run.Expected)
	return toAll{published: run.Published, missing: m.swarm.Missing(p.Published)}, m.env.ctx.Err()
}

// patience is how long nothing may arrive before what is missing counts as lost.
const patience = 2 * time.Second

// await waits until all that is expected has come, or nothing has for a while.
func (m *measurement) await(expected int) {
	last, since := -1, time.Now()
	for time.Since(since) < patience {
		got := m.swarm.Stats().Received
		if got >= expected {
			return
		}
		if got != last {
			last, since = got, time.Now()
		}
		if m.pause(time.Millisecond) != nil {
			return
		}
	}
}
