package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/procfs"
	"roost/bench/roostbench/internal/redisd"
	"roost/bench/roostbench/internal/redispub"
	"roost/bench/roostbench/internal/scrape"
	"roost/bench/roostbench/internal/swarm"
)

// spread has users spread over n instances, each of whom lives on one of them, and looks at what their notifications cost
// the first instance, and Redis.
func (m *feedMeasurement) spread(n int) error {
	servers, err := m.start(n)
	defer servers.stop()
	if err != nil {
		return err
	}
	s := &spread{feedMeasurement: m, servers: servers, clock: note.NewClock()}
	defer s.leave()
	if err := s.connect(); err != nil {
		return err
	}
	s.publisher, err = redispub.New(redispub.Config{
		Redis: m.redis.Addrs()[0], Shards: m.redis.Shards(), Rate: m.Notify * n, Pad: burstPad,
		Pattern: redispub.Pattern{Users: m.Users * n},
	}, s.clock)
	if err != nil {
		return err
	}
	defer s.publisher.Close()
	return s.measure()
}

type spread struct {
	*feedMeasurement
	servers   instances
	swarms    []*swarm.Swarm // one for each
	clock     note.Clock
	publisher *redispub.Publisher
}

// connect gives each instance its users.
func (s *spread) connect() error {
	for i, server := range s.servers {
		w, err := swarm.New(swarm.Config{
			Server: server.at, Path: "/ws", Secret: []byte(s.secret), FirstUser: i * s.Users,
		}, s.clock)
		if err != nil {
			return err
		}
		s.swarms = append(s.swarms, w)
		if err := w.Open(s.env.ctx, 0, s.Users, swarm.Pace{}); err != nil {
			return err
		}
		if now := w.Stats(); now.Open != s.Users {
			return fmt.Errorf("%d of %d connections are open: %v", now.Open, s.Users, w.Problems())
		}
	}
	return nil
}

func (s *spread) leave() {
	for _, w := range s.swarms {
		_ = w.Stop()
	}
}

func (s *spread) stats() swarm.Stats {
	var sum swarm.Stats
	for _, w := range s.swarms {
		sum = sum.Plus(w.Stats())
	}
	return sum
}

// look is everything at one moment.
type spreadLook struct {
	first, redis procfs.Sample
	machine      procfs.Machine
	info         redisd.Info
	own          scrape.Values // the first instance's
	delivered    int           // by it
	load         time.Duration
}

// count looks at counters, which costs the server a little: outside of the time that is measured.
func (s *spread) count(l *spreadLook) (err error) {
	if l.info, err = s.redis.Info(s.env.ctx); err != nil {
		return err
	}
	l.own, err = s.scrape(s.servers[0])
	return err
}

// cost looks at what things have cost.
func (s *spread) cost(l *spreadLook) (err error) {
	if l.redis, err = s.redis.Sample(); err != nil {
		return err
	}
	if l.first, err = procfs.Read(s.servers[0].process.PID()); err != nil {
		return err
	}
	l.delivered, l.load = s.swarms[0].Stats().Received, ownCPU()
	l.machine, err = procfs.ReadMachine()
	return err
}

func (s *spread) measure() error {
	warm, err := s.publisher.Run(s.env.ctx, s.Warmup)
	if err != nil {
		return err
	}
	awaitCount(s.env.ctx, patience, func() int { return s.stats().Received }, warm.Expected)
	for _, w := range s.swarms {
		w.RecordFrom(s.clock.Now())
	}
	var before, after spreadLook
	if err := errors.Join(s.count(&before), s.cost(&before)); err != nil {
		return err
	}
	run, err := s.publisher.Run(s.env.ctx, s.Window)
	if err != nil {
		return err
	}
	awaitCount(s.env.ctx, patience, func() int { return s.stats().Received }, warm.Expected+run.Expected)
	if err := errors.Join(s.cost(&after), s.count(&after)); err != nil {
		return err
	}
	s.add(run, before, after)
	s.addBooks(warm.Published + run.Published)
	return nil
}

// add adds what the window cost.
func (s *spread) add(run redispub.Result, before, after spreadLook) {
	first, redis := after.first.Since(before.first), after.redis.Since(before.redis)
	seconds, delivered := first.Elapsed.Seconds(), float64(after.delivered-before.delivered)
	share := func(d time.Duration) float64 { return 100 * d.Seconds() / seconds }
	own := func(name string) float64 { return after.own[name] - before.own[name] }
	r := &s.report
	r.Add(figCPU, share(first.Running), "% of a core")
	r.Add(figCPUNote, first.Running.Seconds()*1e6/delivered, "µs")
	r.Add(figDelivers, delivered/seconds, "/s")
	r.Add(figReads, own(metricReceived)/seconds, "/s")
	r.Add("its feed is busy", 100*own(metricFeedBusy)/seconds, "% of a core")
	r.Add(figRedisCPU, share(redis.Running), "% of a core")
	r.Add(figRedisNote, redis.Running.Seconds()*1e6/float64(run.Published), "µs")
	r.Add(figRedisOut, float64(after.info.Since(before.info, redisd.Output))/1e3/seconds, "kB/s")
	h := s.latencies()
	r.Add(figP50, float64(h.ValueAtQuantile(50))/1e6, "ms")
	r.Add(figP99, float64(h.ValueAtQuantile(99))/1e6, "ms")
	r.Add(figBusy, 100*after.machine.BusySince(before.machine), "%")
	r.Add("CPU of the load generator", share(after.load-before.load), "% of a core")
	r.Add("publisher's worst delay", run.Behind.Seconds()*1e3, "ms")
}

// addBooks adds what became of all notifications.
func (s *spread) addBooks(published int) {
	now, missing := s.stats(), 0
	for _, w := range s.swarms {
		missing += w.Missing(s.publisher.Published)
	}
	addBooks(&s.report, published, missing, now)
	for _, w := range s.swarms {
		for problem, n := range w.Problems() {
			s.report.Problem(problem, n)
		}
	}
}

func (s *spread) latencies() *hdrhistogram.Histogram {
	sum := s.swarms[0].Latencies()
	for _, w := range s.swarms[1:] {
		sum.Merge(w.Latencies())
	}
	return sum
}

// awaitCount waits until there are as many as are expected, or none more have come for a while.
func awaitCount(ctx context.Context, patience time.Duration, count func() int, expected int) {
	last, since := -1, time.Now()
	for time.Since(since) < patience && ctx.Err() == nil {
		got := count()
		if got >= expected {
			return
		}
		if got != last {
			last, since = got, time.Now()
		}
		time.Sleep(time.Millisecond)
	}
}
