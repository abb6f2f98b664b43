package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"roost/bench/roostbench/internal/gctrace"
	"roost/bench/roostbench/internal/procfs"
	"roost/bench/roostbench/internal/redispub"
	"roost/bench/roostbench/internal/scrape"
)

type idleCmd struct {
	targetFlags
	Sizes      []int         `default:"2000,18000" help:"Numbers of connections to look at, rising, 19000 at most. The slope is that between the first that is not 0 and the last."`
	Hold       time.Duration `default:"35s" help:"How long to hold those two before looking: longer than a ping interval, 30m at most."`
	HoldOthers time.Duration `default:"22s" help:"How long to hold the others: long enough for a server to give back what connecting took; 30m at most."`
	Empty      time.Duration `default:"8s" help:"How long to hold the server with nobody connected, where 0 is among the sizes; 30m at most."`
	Window     time.Duration `default:"30s" help:"The end of a hold in which CPU is measured: a whole ping interval, so that each connection is pinged once."`
	Burst      int           `default:"0" help:"At the end publish so many notifications to each user and look at what memory they leave behind, 1000 at most; 0: don't."`
	Each       bool          `name:"burst-each" help:"Publish the burst at each size that has connections, before it is held, and not at the end: the slope is then that of connections that have had it, without what the process keeps of any burst."`
	Talk       int           `default:"0" help:"Before the burst each connection sends a text message of so many bytes, and notifications have as many, 16384 at most; 0: it sends nothing."`
	Cooldown   time.Duration `default:"25s" help:"How long to wait after the burst before looking; 30m at most."`
	Redis      string        `default:"127.0.0.1:6379" help:"The Redis that the server listens to, on a loopback address, for the burst."`
}

// maxBurst bounds the burst: 19 million notifications.
const maxBurst = 1000

// Run opens connections step by step, holds each number and looks at the server.
// The slope is the cost of the added ones, and the CPU while holding is the cost
// of idling.
func (c *idleCmd) Run(env *environment) error {
	redis, err := c.validate()
	if err != nil {
		return err
	}
	m, err := begin(env, "idle", c.targetFlags, nil)
	if err != nil {
		return err
	}
	return m.finish(c.measure(m, redis))
}

func (c *idleCmd) validate() (netip.AddrPort, error) {
	for i, n := range c.Sizes {
		if n < 0 || i > 0 && n <= c.Sizes[i-1] {
			return netip.AddrPort{}, fmt.Errorf("--sizes %v: each has to be above the one before", c.Sizes)
		}
	}
	if len(c.Sizes) < 2 || c.first() == c.last() {
		return netip.AddrPort{}, fmt.Errorf("--sizes %v: two that are not 0 are needed for a slope", c.Sizes)
	}
	if c.Burst < 0 || c.Burst > maxBurst {
		return netip.AddrPort{}, fmt.Errorf("--burst %d: from 0 to %d", c.Burst, maxBurst)
	}
	if c.Talk < 0 || c.Talk > maxPad || c.Talk > 0 && c.Burst == 0 {
		return netip.AddrPort{}, fmt.Errorf("--talk %d: from 0 to %d, and with --burst", c.Talk, maxPad)
	}
	if c.Burst == 0 {
		if c.Each {
			return netip.AddrPort{}, errors.New("--burst-each: with --burst")
		}
		return netip.AddrPort{}, nil
	}
	redis, err := address(c.Redis)
	if err != nil {
		return redis, fmt.Errorf("--redis: %w", err)
	}
	return redis, nil
}

// first is the first size with connections.
func (c *idleCmd) first() int {
	if c.Sizes[0] == 0 {
		return c.Sizes[1]
	}
	return c.Sizes[0]
}

func (c *idleCmd) last() int { return c.Sizes[len(c.Sizes)-1] }

// users is how many users so many connections belong to.
func (c *idleCmd) users(connections int) int {
	perUser := max(c.PerUser, 1)
	return (connections + perUser - 1) / perUser
}

func (c *idleCmd) measure(m *measurement, redis netip.AddrPort) error {
	if c.Burst == 0 {
		return c.measureWith(m, nil)
	}
	p, err := m.publisherToAll(redis, c.users(c.last()), max(c.PerUser, 1), burstRate, max(burstPad, c.Talk))
	if err != nil {
		return err
	}
	defer p.Close()
	return c.measureWith(m, p)
}

// measureWith measures with a publisher for the burst, or without both.
func (c *idleCmd) measureWith(m *measurement, p *redispub.Publisher) error {
	var first, last look
	open := 0
	for _, size := range c.Sizes {
		now, err := c.look(m, p, open, size)
		if err != nil {
			return err
		}
		c.addLook(m, now)
		if size == c.first() {
			first = now
		}
		open, last = size, now
	}
	if now := m.swarm.Stats(); now.Lost > 0 {
		return fmt.Errorf("%d connections were lost: %v", now.Lost, m.swarm.Problems())
	}
	c.addSlopes(m, first, last)
	m.report.Add("pings received", float64(m.swarm.Stats().Pings), "")
	if c.Burst == 0 || c.Each {
		return nil
	}
	return c.burst(m, p, last)
}

// look is what the server looks like with a number of connections.
type look struct {
	connections int
	opened      int           // of them since the look before
	opening     procfs.Cost   // what that cost
	idling      procfs.Cost   // at the end of the hold
	collections gctrace.Sum   // meanwhile; none where the log is not known
	sample      procfs.Sample // of its end, see restLooks
	own         scrape.Values
}

// look opens connections from one number to another, holds them, and looks.
func (c *idleCmd) look(m *measurement, p *redispub.Publisher, from, to int) (look, error) {
	l := look{connections: to, opened: to - from}
	start, err := m.sample()
	if err == nil {
		err = m.open(from, to)
	}
	if err != nil {
		return l, err
	}
	opened, err := m.sample()
	if err != nil {
		return l, err
	}
	l.opening = opened.Since(start)
	if c.Each && to > 0 {
		if err := c.publish(m, p, to); err != nil {
			return l, err
		}
	}
	return l, c.hold(m, &l)
}

func (c *idleCmd) hold(m *measurement, l *look) error {
	hold := c.lasts(l.connections)
	window := min(hold, c.Window)
	if l.connections == 0 {
		window = min(window, hold*3/4) // what starting up leaves to do is not idling
	}
	if err := m.pause(hold - window); err != nil {
		return err
	}
	before, err := m.sample()
	if err != nil {
		return err
	}
	collections := m.followCollections()
	looking := min(window, restLooks)
	if err := m.pause(window - looking); err != nil {
		return err
	}
	var last procfs.Sample
	if l.sample, last, err = m.sampleFor(looking); err != nil {
		return err
	}
	l.idling = last.Since(before)
	if l.collections, err = collections(); err != nil {
		return err
	}
	l.own = m.scrape()
	return nil
}

// lasts is how long a size is held.
func (c *idleCmd) lasts(size int) time.Duration {
	switch {
	case size == 0:
		return c.Empty
	case c.held(size):
		return c.Hold
	}
	return c.HoldOthers
}

// held says whether a size is held for long, so that its CPU means something.
func (c *idleCmd) held(size int) bool { return size == c.first() || size == c.last() }

// addLook adds the figures of one size.
func (c *idleCmd) addLook(m *measurement, l look) {
	r, n := &m.report, l.connections
	cpu := 100 * (l.idling.User + l.idling.System).Seconds() / l.idling.Elapsed.Seconds()
	wakes := float64(l.idling.Switches) / l.idling.Elapsed.Seconds()
	if n == 0 {
		r.Add("RssAnon with nobody connected", mebi(l.sample.Anon), "MiB")
		r.Add("RSS with nobody connected", mebi(l.sample.RSS), "MiB")
		r.Add("CPU with nobody connected", cpu, "% of a core")
		r.Add("wake-ups with nobody connected", wakes, "/s")
		return
	}
	r.AddAt("RssAnon", n, mebi(l.sample.Anon), "MiB")
	r.AddAt("RSS", n, mebi(l.sample.RSS), "MiB")
	if heap, ok := l.own[scrape.HeapInUse]; ok {
		r.AddAt("heap in use", n, heap/(1<<20), "MiB")
	}
	if goroutines, ok := l.own[scrape.Goroutines]; ok {
		r.AddAt("goroutines", n, goroutines, "")
	}
	each := (l.opening.User + l.opening.System).Seconds() * 1e6 / float64(l.opened)
	r.AddAt("CPU of a handshake, opening up", n, each, "µs")
	if c.held(n) {
		r.AddAt("CPU idling", n, cpu, "% of a core")
		r.AddAt("wake-ups idling", n, wakes, "/s")
	}
}

// addSlopes adds what a connection costs, and what idling with all of them does.
func (c *idleCmd) addSlopes(m *measurement, first, last look) {
	more := last.connections - first.connections
	r := &m.report
	r.Add("RssAnon a connection", procfs.Slope(first.sample.Anon, last.sample.Anon, more), "B")
	r.Add("RSS a connection", procfs.Slope(first.sample.RSS, last.sample.RSS, more), "B")
	if heap, ok := last.own[scrape.HeapInUse]; ok {
		r.Add("heap in use a connection", procfs.Slope(int64(first.own[scrape.HeapInUse]), int64(heap), more), "B")
	}
	r.Add("kernel slab a connection, both ends", procfs.Slope(first.sample.KernelMemory, last.sample.KernelMemory, more), "B")
	r.Add("socket buffers a connection, both ends", procfs.Slope(first.sample.TCPMemory, last.sample.TCPMemory, more), "B")
	r.Add("threads", float64(last.sample.Threads), "")
	m.addCollections(last.collections, last.idling.Elapsed)
}

// burst publishes to all, and looks at what that left.
func (c *idleCmd) burst(m *measurement, p *redispub.Publisher, before look) error {
	if err := c.publish(m, p, c.last()); err != nil {
		return err
	}
	looking := min(c.Cooldown, restLooks)
	if err := m.pause(c.Cooldown - looking); err != nil {
		return err
	}
	after, _, err := m.sampleFor(looking)
	if err != nil {
		return err
	}
	if now := m.swarm.Stats(); now.Lost > 0 {
		return fmt.Errorf("%d connections were lost: %v", now.Lost, m.swarm.Problems())
	}
	r := &m.report
	r.Add("RssAnon after the burst", mebi(after.Anon), "MiB")
	r.Add("RssAnon a connection more after the burst", procfs.Slope(before.sample.Anon, after.Anon, c.last()), "B")
	r.Add("RSS a connection more after the burst", procfs.Slope(before.sample.RSS, after.RSS, c.last()), "B")
	return nil
}

// publish has the connections that are open talk, and publishes the burst to them.
func (c *idleCmd) publish(m *measurement, p *redispub.Publisher, open int) error {
	if c.Talk > 0 {
		m.swarm.Say(c.Talk)
	}
	got, err := m.publishToAll(p, c.users(open), c.Burst)
	if err != nil {
		return err
	}
	at := 0
	if c.Each {
		at = open
	}
	m.report.AddAt("notifications of the burst", at, float64(got.published), "")
	m.report.AddAt("missing", at, float64(got.missing), "")
	return nil
}

func mebi(bytes int64) float64 { return float64(bytes) / (1 << 20) }
