package main

import (
	"context"
	"fmt"
	"time"

	"roost/bench/roostbench/internal/procfs"
)

type connectCmd struct {
	targetFlags
	Base        int           `default:"1000" help:"Connections that are open before and stay, so that the server has warmed up."`
	Connections int           `default:"17000" help:"Connections of a round; with --base 19000 at most."`
	Rounds      int           `default:"1" help:"Rounds of connecting, and leaving between them; 100 at most."`
	Cooldown    time.Duration `default:"2s" help:"How long to wait after a round before looking at memory; 30m at most."`
	Rest        time.Duration `default:"0" help:"Leave after the last round too, and compare memory with only the base open, so long after it has opened and so long after the others have left; 30m at most. 0: don't."`
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
	before, err := c.rest(m)
	if err != nil {
		return err
	}
	sum, err := c.rounds(m)
	if err != nil {
		return err
	}
	c.add(m, sum)
	if c.Rest == 0 {
		return nil
	}
	if err := c.leave(m); err != nil {
		return err
	}
	after, err := c.rest(m)
	if err != nil {
		return err
	}
	c.addRest(m, before, after)
	return nil
}

// rest looks at memory once things have calmed down, if that is asked for.
func (c *connectCmd) rest(m *measurement) (procfs.Sample, error) {
	looking := min(c.Rest, restLooks)
	if err := m.pause(c.Rest - looking); err != nil {
		return procfs.Sample{}, err
	}
	median, _, err := m.sampleFor(looking)
	return median, err
}

// rounds is what all rounds cost together, and memory after the first and the
// last of them.
type rounds struct {
	cost        procfs.Cost
	own         time.Duration
	first, last procfs.Sample
}

func (c *connectCmd) rounds(m *measurement) (rounds, error) {
	var sum rounds
	for n := range c.Rounds {
		if n > 0 {
			if err := c.leave(m); err != nil {
				return sum, err
			}
		}
		own := ownCPU()
		cost, err := c.round(m)
		if err != nil {
			return sum, err
		}
		sum.own += ownCPU() - own
		sum.cost = plus(sum.cost, cost)
		if err := m.pause(c.Cooldown); err != nil {
			return sum, err
		}
		if sum.last, err = m.sample(); err != nil {
			return sum, err
		}
		if n == 0 {
			sum.first = sum.last
		}
	}
	return sum, nil
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

// leave closes all connections but the base.
func (c *connectCmd) leave(m *measurement) error {
	ctx, cancel := context.WithTimeout(m.env.ctx, leaveLimit)
	defer cancel()
	if err := m.swarm.Leave(ctx, c.Base); err != nil {
		return fmt.Errorf("leaving: %w (%d are still open)", err, m.swarm.Stats().Open)
	}
	if now := m.swarm.Stats(); now.Lost > 0 {
		return fmt.Errorf("leaving: %d connections were lost: %v", now.Lost, m.swarm.Problems())
	}
	return nil
}

func (c *connectCmd) add(m *measurement, sum rounds) {
	handshakes := float64(c.Connections * c.Rounds)
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / handshakes }
	r, cost := &m.report, sum.cost
	r.Add("handshakes", handshakes/cost.Elapsed.Seconds(), "/s")
	r.Add("CPU a handshake", each(cost.User+cost.System), "µs")
	r.Add("user CPU a handshake", each(cost.User), "µs")
	r.Add("system CPU a handshake", each(cost.System), "µs")
	r.Add("CPU a handshake by schedstat", each(cost.Running), "µs")
	r.Add("wake-ups a handshake", float64(cost.Switches)/handshakes, "")
	h := m.swarm.Handshakes()
	r.Add("handshake p50", float64(h.ValueAtQuantile(50))/1e6, "ms")
	r.Add("handshake p99", float64(h.ValueAtQuantile(99))/1e6, "ms")
	r.Add("RssAnon after the first round", mebi(sum.first.Anon), "MiB")
	r.Add("RssAnon after the last round", mebi(sum.last.Anon), "MiB")
	r.Add("load generator's CPU a handshake", each(sum.own), "µs")
	r.Add("load generator's cores", sum.own.Seconds()/cost.Elapsed.Seconds(), "")
	if c.Resume {
		r.Add("resumed TLS handshakes", 100*float64(m.swarm.Stats().Resumed)/float64(m.swarm.Stats().Opened), "%")
	}
}

// addRest adds memory with the base only, before and after.
func (c *connectCmd) addRest(m *measurement, before, after procfs.Sample) {
	r := &m.report
	r.Add("RssAnon before", mebi(before.Anon), "MiB")
	r.Add("RssAnon after all have left", mebi(after.Anon), "MiB")
	r.Add("RSS before", mebi(before.RSS), "MiB")
	r.Add("RSS after all have left", mebi(after.RSS), "MiB")
	r.Add("RSS, after to before", float64(after.RSS)/float64(before.RSS), "")
	r.Add("RssAnon, after to before", float64(after.Anon)/float64(before.Anon), "")
}

// plus adds costs.
func plus(a, b procfs.Cost) procfs.Cost {
	return procfs.Cost{
		Elapsed: a.Elapsed + b.Elapsed, User: a.User + b.User, System: a.System + b.System,
		Running: a.Running + b.Running, Switches: a.Switches + b.Switches,
	}
}
