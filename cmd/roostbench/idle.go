package main

import (
	"fmt"
	"time"

	"roost/cmd/roostbench/internal/procfs"
)

type idleCmd struct {
	targetFlags
	From int           `default:"2000" help:"Connections of the first look."`
	To   int           `default:"18000" help:"Connections of the second look, 19000 at most."`
	Hold time.Duration `default:"35s" help:"How long to hold each size before looking: longer than a ping interval, 30m at most."`
}

// Run opens From connections, holds and looks, opens more up to To, holds and
// looks again. What the added ones cost is the slope; what the second hold cost
// in CPU is what idling costs.
func (c *idleCmd) Run(env *environment) error {
	if c.From < 0 || c.To <= c.From {
		return fmt.Errorf("--from %d --to %d: the second size has to be above the first", c.From, c.To)
	}
	m, err := begin(env, "idle", c.targetFlags, nil)
	if err != nil {
		return err
	}
	return m.finish(c.measure(m))
}

func (c *idleCmd) measure(m *measurement) error {
	first, _, err := c.look(m, 0, c.From)
	if err != nil {
		return err
	}
	second, idling, err := c.look(m, c.From, c.To)
	if err != nil {
		return err
	}
	now := m.swarm.Stats()
	if now.Lost > 0 {
		return fmt.Errorf("%d connections were lost: %v", now.Lost, m.swarm.Problems())
	}
	c.add(m, first, second, idling)
	m.report.Add("pings received", float64(now.Pings), "")
	return nil
}

// look opens connections up to to, holds them, and returns what the server
// looks like then and what holding cost.
func (c *idleCmd) look(m *measurement, from, to int) (procfs.Sample, procfs.Cost, error) {
	if err := m.open(from, to); err != nil {
		return procfs.Sample{}, procfs.Cost{}, err
	}
	before, err := m.sample()
	if err != nil {
		return before, procfs.Cost{}, err
	}
	if err := m.pause(c.Hold); err != nil {
		return before, procfs.Cost{}, err
	}
	after, err := m.sample()
	return after, after.Since(before), err
}

func (c *idleCmd) add(m *measurement, first, second procfs.Sample, idling procfs.Cost) {
	more := c.To - c.From
	r := &m.report
	r.Add("RssAnon a connection", procfs.Slope(first.Anon, second.Anon, more), "B")
	r.Add("RSS a connection", procfs.Slope(first.RSS, second.RSS, more), "B")
	r.Add("kernel slab a connection, both ends", procfs.Slope(first.KernelMemory, second.KernelMemory, more), "B")
	r.Add("socket buffers a connection, both ends", procfs.Slope(first.TCPMemory, second.TCPMemory, more), "B")
	r.Add(fmt.Sprintf("RssAnon at %d", c.From), float64(first.Anon)/(1<<20), "MiB")
	r.Add(fmt.Sprintf("RssAnon at %d", c.To), float64(second.Anon)/(1<<20), "MiB")
	r.Add(fmt.Sprintf("RSS at %d", c.To), float64(second.RSS)/(1<<20), "MiB")
	r.Add(fmt.Sprintf("CPU idling with %d", c.To), 100*(idling.User+idling.System).Seconds()/idling.Elapsed.Seconds(), "% of a core")
	r.Add("wake-ups idling", float64(idling.Switches)/idling.Elapsed.Seconds(), "/s")
	r.Add("threads", float64(second.Threads), "")
}
