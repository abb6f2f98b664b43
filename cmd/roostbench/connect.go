package main

import (
	"context"
	"fmt"
	"time"

	"roost/cmd/roostbench/internal/procfs"
)

type connectCmd struct {
	targetFlags
	Base        int           `default:"1000" help:"Connections that are open before and stay, so that the server has warmed up."`
	Connections int           `default:"17000" help:"Connections of a round; with --base 19000 at most."`
	Rounds      int           `default:"1" help:"Rounds of connecting, and leaving between them; 100 at most."`
	Settle      time.Duration `default:"2s" help:"How long to wait after a round before looking at memory; 30m at most."`
}

// leaveLimit is how long a server may take to let all connections go.
const leaveLimit = time.Minute

// Run connects in rounds.
func (c *connectCmd) Run(env *environment) error {
	if c.Connections < 1 || c.Base < 0 || c.Rounds < 1 || c.Rounds > maxRounds {
		return fmt.Errorf("%d connections in %d rounds: from 1 connection and 1 to %d rounds", c.Connections, c.Rounds, maxRounds)
	}
	m, err := begin(env, "connect", c.targetFlags, nil)
	if err != nil {
		return err
	}
	return m.finish(c.measure(m))
}

func (c *connectCmd) measure(m *measurement) error {
	if err := m.open(0, c.Base); err != nil {
		return err
	}
	var sum procfs.Cost
	var first, last procfs.Sample
	own := time.Duration(0)
	for round := range c.Rounds {
		if round > 0 {
			if err := c.leave(m); err != nil {
				return err
			}
		}
		ownBefore := ownCPU()
		cost, err := c.round(m)
		if err != nil {
			return err
		}
		own += ownCPU() - ownBefore
		sum = plus(sum, cost)
		if err := m.pause(c.Settle); err != nil {
			return err
		}
		if last, err = m.sample(); err != nil {
			return err
		}
		if round == 0 {
			first = last
		}
	}
	c.add(m, sum, first, last, own)
	return nil
}

// round opens the connections and returns what that cost the server.
func (c *connectCmd) round(m *measurement) (procfs.Cost, error) {
	before, err := m.sample()
	if err != nil {
		return procfs.Cost{}, err
	}
	if err := m.open(c.Base, c.Base+c.Connections); err != nil {
		return procfs.Cost{}, err
	}
	after, err := m.sample()
	return after.Since(before), err
}

// leave closes all connections and opens the base again.
func (c *connectCmd) leave(m *measurement) error {
	ctx, cancel := context.WithTimeout(m.env.ctx, leaveLimit)
	defer cancel()
	if err := m.swarm.Leave(ctx); err != nil {
		return fmt.Errorf("leaving: %w (%d are still open)", err, m.swarm.Stats().Open)
	}
	return m.open(0, c.Base)
}

func (c *connectCmd) add(m *measurement, sum procfs.Cost, first, last procfs.Sample, own time.Duration) {
	handshakes := float64(c.Connections * c.Rounds)
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / handshakes }
	r := &m.report
	r.Add("handshakes", handshakes/sum.Elapsed.Seconds(), "/s")
	r.Add("CPU a handshake", each(sum.User+sum.System), "µs")
	r.Add("user CPU a handshake", each(sum.User), "µs")
	r.Add("system CPU a handshake", each(sum.System), "µs")
	r.Add("CPU a handshake by schedstat", each(sum.Running), "µs")
	r.Add("wake-ups a handshake", float64(sum.Switches)/handshakes, "")
	h := m.swarm.Handshakes()
	r.Add("handshake p50", float64(h.ValueAtQuantile(50))/1e6, "ms")
	r.Add("handshake p99", float64(h.ValueAtQuantile(99))/1e6, "ms")
	r.Add("RssAnon after the first round", float64(first.Anon)/(1<<20), "MiB")
	r.Add("RssAnon after the last round", float64(last.Anon)/(1<<20), "MiB")
	r.Add("load generator's CPU a handshake", each(own), "µs")
}

// plus adds costs.
func plus(a, b procfs.Cost) procfs.Cost {
	return procfs.Cost{
		Elapsed: a.Elapsed + b.Elapsed, User: a.User + b.User, System: a.System + b.System,
		Running: a.Running + b.Running, Switches: a.Switches + b.Switches,
	}
}
