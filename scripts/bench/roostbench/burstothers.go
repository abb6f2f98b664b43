package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/redispub"
	"roost/bench/roostbench/internal/report"
	"roost/bench/roostbench/internal/swarm"
)

// others are clients that have nothing to do with what is measured, but for how much later they get their own
// notifications meanwhile.
type others struct {
	swarm     *swarm.Swarm
	publisher *redispub.Publisher
	clock     note.Clock
	cancel    context.CancelFunc
	done      chan error // what became of publishing
}

// startOthers connects them and publishes for them until stop.
func (m *burstMeasurement) startOthers(redis netip.AddrPort) (*others, error) {
	s, err := swarm.New(swarm.Config{Server: m.stand.at, Path: m.target.Path, Secret: m.target.Secret, Dialect: m.dialect}, m.clock)
	if err != nil {
		return nil, err
	}
	o := &others{swarm: s, clock: m.clock, done: make(chan error, 1)}
	o.publisher, err = redispub.New(redispub.Config{
		Redis: redis, Rate: m.OthersRate, Pad: othersPad, Pattern: redispub.Pattern{Users: m.Others}, Dialect: m.dialect,
	}, m.clock)
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	err = o.publisher.AwaitSubscriber(m.env.ctx)
	if err == nil {
		err = s.Open(m.env.ctx, 0, m.Others, swarm.Pace{})
	}
	if now := s.Stats(); err == nil && now.Open != m.Others {
		err = fmt.Errorf("%d of %d others are connected: %v", now.Open, m.Others, s.Problems())
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop(), o.publisher.Close())
	}
	ctx, cancel := context.WithCancel(m.env.ctx)
	o.cancel = cancel
	go func() {
		_, err := o.publisher.RunCount(ctx, int(maxTime.Seconds())*m.OthersRate)
		o.done <- err
	}()
	return o, nil
}

// othersPatience is how long nothing comes before what is missing counts as lost.
const othersPatience = 5 * time.Second

// othersPad is content of their notifications.
const othersPad = 100

// measure begins to measure anew.
func (o *others) measure() { o.swarm.RecordFrom(o.clock.Now()) }

// p99 is the latency of what was published for them since measure, in ms.
func (o *others) p99() float64 { return float64(o.swarm.Latencies().ValueAtQuantile(99)) / 1e6 }

// stop ends them and says what they have missed.
func (o *others) stop(r *report.Report) error {
	o.cancel()
	err := <-o.done
	awaitCount(context.Background(), othersPatience, func() int { return -o.swarm.Missing(o.publisher.Published) }, 0)
	now := o.swarm.Stats()
	r.Add(figOthersMissing, float64(o.swarm.Missing(o.publisher.Published)), "")
	r.Add("connections of others lost", float64(now.Lost), "")
	r.Problems = o.swarm.Problems()
	return errors.Join(err, o.publisher.Close(), o.swarm.Stop())
}
