package main

import (
	"fmt"
	"time"

	"roost/bench/roostbench/internal/redispub"
	"roost/bench/roostbench/internal/swarm"
)

// backCmd measures clients that come back all at once, and get the notifications that were published meanwhile.
type backCmd struct {
	targetFlags
	Redis       string `default:"127.0.0.1:6379" help:"The Redis that the server listens to, on a loopback address."`
	Connections int    `default:"15000" help:"Clients, 19000 at most."`
	Missed      int    `default:"3" help:"Notifications that each misses, on average; 20 at most."`
	Notify      int    `name:"notify-rate" default:"10000" help:"Notifications published a second while they are away."`
	Pad         int    `default:"100" help:"Bytes of content in a notification in addition to the note, 16384 at most."`
}

// mostMissed keeps all clients below what Roost replays to one.
const mostMissed = 20

// Run has them leave, publishes, and has them come back.
func (c *backCmd) Run(env *environment) error {
	switch {
	case c.Connections < 1 || c.Connections > swarm.MaxConnections:
		return fmt.Errorf("--connections %d: from 1 to %d", c.Connections, swarm.MaxConnections)
	case c.Missed < 1 || c.Missed > mostMissed:
		return fmt.Errorf("--missed %d: from 1 to %d", c.Missed, mostMissed)
	case c.Pad < 0 || c.Pad > maxPad:
		return fmt.Errorf("--pad %d: from 0 to %d", c.Pad, maxPad)
	}
	redis, err := address(c.Redis)
	if err != nil {
		return fmt.Errorf("--redis: %w", err)
	}
	m, err := begin(env, "back", c.targetFlags, func(cfg *swarm.Config) { cfg.PerUser, cfg.ComeBack = 1, true })
	if err != nil {
		return err
	}
	return m.withPublisher(redispub.Config{
		Redis: redis, Rate: c.Notify, Pad: c.Pad, FanOut: 1,
		Pattern: redispub.Pattern{First: c.FirstUser, Users: c.Connections},
	}, c.measure)
}

func (c *backCmd) measure(m *measurement, p *redispub.Publisher) error {
	if err := m.openSubscribed(p, c.Connections); err != nil {
		return err
	}
	here, err := p.RunCount(m.env.ctx, c.Connections)
	if err != nil {
		return err
	}
	m.await(p, here.Expected)
	if err := (&connectCmd{}).leave(m); err != nil {
		return err
	}
	away, err := p.RunCount(m.env.ctx, c.Missed*c.Connections)
	if err != nil {
		return err
	}
	before, err := m.sample()
	if err != nil {
		return err
	}
	if err := m.open(0, c.Connections); err != nil {
		return err
	}
	connected, err := m.sample()
	if err != nil {
		return err
	}
	m.await(p, here.Expected+away.Expected)
	after, err := m.sample()
	if err != nil {
		return err
	}
	cost, r, now := after.Since(before), &m.report, m.swarm.Stats()
	r.Add("until all are connected", connected.Since(before).Elapsed.Seconds(), "s")
	r.Add("until all have what they missed", cost.Elapsed.Seconds(), "s")
	r.Add("missed by each", float64(away.Published)/float64(c.Connections), "")
	r.Add("CPU a client", float64((cost.User+cost.System)/time.Duration(c.Connections))/float64(time.Microsecond), "µs")
	r.Add("duplicates", float64(now.Duplicates), "")
	r.Add("out of order", float64(now.Disorder), "")
	r.Add("for another user", float64(now.WrongUser), "")
	r.Add("missing", float64(m.swarm.Missing(p.Published)), "")
	return m.env.ctx.Err()
}
