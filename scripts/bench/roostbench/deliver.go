package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"roost/bench/roostbench/internal/procfs"
	"roost/bench/roostbench/internal/redispub"
	"roost/bench/roostbench/internal/swarm"
	"roost/bench/roostbench/internal/syscount"
)

type deliverCmd struct {
	targetFlags
	Redis       string        `default:"127.0.0.1:6379" help:"The Redis that the server listens to, on a loopback address."`
	Connections int           `default:"5000" help:"Connections that receive, 19000 at most."`
	Notify      int           `name:"notify-rate" default:"10000" help:"Notifications published a second, 1000000 at most."`
	Pipeline    time.Duration `default:"0" help:"Publish what falls due in this time in one piece, as busy backends do together; 0: each by itself."`
	Window      int           `default:"0" help:"Publish only while fewer deliveries than this are outstanding, to find the highest rate without loss; 0: always."`
	Users       string        `default:"spread" enum:"spread,one,absent,bursts,stalled" help:"For whom: spread over all users; one user who has all connections; 90% absent; bursts of 50 to a user; one that stops reading gets a fifth (${enum})."`
	Storm       int           `default:"0" help:"Open so many more connections, all at once, while measuring, from another process of lower priority; with --connections 19000 at most."`
	Pad         int           `default:"100" help:"Bytes of content in a notification in addition to the note, 16384 at most."`
	Warmup      time.Duration `default:"2s" help:"Publish for so long before measuring; 30m at most."`
	Duration    time.Duration `default:"10s" help:"Measure for so long, 30m at most; with --storm until all of it is open, if that is sooner."`
	CountCalls  bool          `help:"Count the server's system calls, which costs it a little; left out where the kernel does not let us."`
}

func (c *deliverCmd) validate() error {
	switch {
	case c.Connections < 1 || c.Connections > swarm.MaxConnections:
		return fmt.Errorf("--connections %d: from 1 to %d", c.Connections, swarm.MaxConnections)
	case c.Storm < 0 || c.Connections+c.Storm > swarm.MaxConnections:
		return fmt.Errorf("--storm %d: from 0, and with --connections to %d", c.Storm, swarm.MaxConnections)
	case c.Storm > 0 && c.Users != "spread":
		return fmt.Errorf("--storm goes with --users=spread only, not %s", c.Users)
	case c.Pad < 0 || c.Pad > maxPad:
		return fmt.Errorf("--pad %d: from 0 to %d", c.Pad, maxPad)
	case c.Duration <= 0 || c.Duration > maxTime || c.Warmup < 0 || c.Warmup > maxTime:
		return fmt.Errorf("--warmup %s --duration %s: %s at most", c.Warmup, c.Duration, maxTime)
	case c.Pipeline < 0 || c.Pipeline > time.Second:
		return fmt.Errorf("--pipeline %s: from 0 to 1s", c.Pipeline)
	}
	return nil
}

// shape fits users, connections and the pattern together.
func (c *deliverCmd) shape() (perUser int, p redispub.Pattern) {
	perUser = max(c.PerUser, 1)
	if c.Users == "one" {
		perUser = c.Connections
	}
	p = redispub.Pattern{First: c.FirstUser, Users: (c.Connections + perUser - 1) / perUser}
	switch c.Users {
	case "absent":
		p.Absent = 0.9
	case "bursts":
		p.Burst = 50
	case "stalled":
		p.Stalled, p.StalledShare = 1, 0.2
	}
	return perUser, p
}

// Run publishes and measures.
func (c *deliverCmd) Run(env *environment) error {
	if err := c.validate(); err != nil {
		return err
	}
	redis, err := address(c.Redis)
	if err != nil {
		return fmt.Errorf("--redis: %w", err)
	}
	perUser, pattern := c.shape()
	m, err := begin(env, "deliver", c.targetFlags, func(cfg *swarm.Config) {
		cfg.PerUser, cfg.Stalled = perUser, pattern.Stalled*perUser
	})
	if err != nil {
		return err
	}
	return m.withPublisher(redispub.Config{
		Redis: redis, Rate: c.Notify, Batch: c.Pipeline, Pad: c.Pad, Pattern: pattern, FanOut: perUser, Window: c.Window,
	}, c.measure)
}

func (c *deliverCmd) measure(m *measurement, p *redispub.Publisher) error {
	if err := m.openSubscribed(p, c.Connections); err != nil {
		return err
	}
	warm, err := p.Run(m.env.ctx, c.Warmup)
	if err != nil {
		return err
	}
	m.await(p, warm.Expected)
	m.swarm.RecordFrom(m.clock.Now())
	before, err := m.sample()
	if err != nil {
		return err
	}
	storm, err := c.startStorm(m)
	if err != nil {
		return err
	}
	defer storm.stop()
	own := ownCPU()
	inside := c.beginCounting(m)
	run, err := c.publish(m, p, storm)
	if err != nil {
		return err
	}
	m.await(p, warm.Expected+run.Expected)
	after, err := m.sample()
	if err != nil {
		return err
	}
	c.add(m, run, after.Since(before), ownCPU()-own+storm.cpu(), storm.last.Stats)
	if err := inside(run.Published, after.Since(before).Elapsed); err != nil {
		return err
	}
	m.report.Add("missing", float64(m.swarm.Missing(p.Published)), "")
	return m.env.ctx.Err()
}

// publish publishes for the time to measure, or while the storm lasts.
func (c *deliverCmd) publish(m *measurement, p *redispub.Publisher, storm *storm) (redispub.Result, error) {
	if c.Storm == 0 {
		return p.Run(m.env.ctx, c.Duration)
	}
	ctx, cancel := context.WithCancel(m.env.ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- storm.run(m.env.ctx)
		cancel()
	}()
	run, err := p.Run(ctx, c.Duration)
	return run, errors.Join(err, <-ended)
}

// beginCounting begins to count what goes on inside the server, if that is asked
// for. The function that it returns adds the counts, for so many notifications
// in so long.
func (c *deliverCmd) beginCounting(m *measurement) func(published int, elapsed time.Duration) error {
	if !c.CountCalls {
		return func(int, time.Duration) error { return nil }
	}
	collections := m.followCollections()
	calls, uncounted := syscount.Start(c.PID)
	return func(published int, elapsed time.Duration) error {
		if uncounted == nil {
			n, err := calls.Stop()
			if err != nil {
				return err
			}
			m.report.Add("system calls a notification", float64(n)/float64(published), "")
		} else if !errors.Is(uncounted, syscount.ErrUnavailable) {
			return uncounted
		}
		sum, err := collections()
		m.addCollections(sum, elapsed)
		return err
	}
}

func (c *deliverCmd) add(m *measurement, run redispub.Result, cost procfs.Cost, own time.Duration, storm swarm.Stats) {
	n := float64(run.Published)
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / n }
	now, r := m.swarm.Stats(), &m.report
	r.Add("published", n/run.Elapsed.Seconds(), "/s")
	r.Add("delivered", float64(m.swarm.Latencies().TotalCount())/cost.Elapsed.Seconds(), "/s")
	h := m.swarm.Latencies()
	for _, q := range []float64{50, 99, 99.9} {
		r.Add(fmt.Sprintf("latency p%v", q), float64(h.ValueAtQuantile(q))/1e6, "ms")
	}
	r.Add("latency max", float64(h.Max())/1e6, "ms")
	r.Add("CPU a notification", each(cost.User+cost.System), "µs")
	if run.Expected > run.Published { // to many connections of a user
		r.Add("CPU a delivery", each(cost.User+cost.System)*n/float64(run.Expected), "µs")
	}
	r.Add("user CPU a notification", each(cost.User), "µs")
	r.Add("system CPU a notification", each(cost.System), "µs")
	r.Add("CPU a notification by schedstat", each(cost.Running), "µs")
	r.Add("wake-ups a notification", float64(cost.Switches)/n, "")
	r.Add("CPU", 100*(cost.User+cost.System).Seconds()/cost.Elapsed.Seconds(), "% of a core")
	r.Add("load generator's CPU a notification", each(own), "µs")
	r.Add("load generator's cores", own.Seconds()/cost.Elapsed.Seconds(), "")
	if c.Storm > 0 {
		r.Add("handshakes of the storm", float64(storm.Opened), "")
		r.Add("the storm lasted", cost.Elapsed.Seconds(), "s")
	}
	r.Add("publisher's worst delay", run.Behind.Seconds()*1e3, "ms")
	r.Add("publisher held back", 100*run.Held.Seconds()/max(run.Elapsed.Seconds(), 1e-9), "%")
	r.Add("duplicates", float64(now.Duplicates), "")
	r.Add("out of order", float64(now.Disorder), "")
	r.Add("for another user", float64(now.WrongUser), "")
	r.Add("connections lost", float64(now.Lost+storm.Lost), "")
}
