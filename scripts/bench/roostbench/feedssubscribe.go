package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"roost/bench/roostbench/internal/harm"
	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/procfs"
	"roost/bench/roostbench/internal/raw"
	"roost/bench/roostbench/internal/redisd"
	"roost/bench/roostbench/internal/redispub"
	"roost/bench/roostbench/internal/scrape"
	"roost/bench/roostbench/internal/swarm"
)

const (
	maxFew         = 100                    // users who get notifications while Redis is cut off
	fewRate        = 1000                   // a second, to them
	restRate       = 20_000                 // a second, to the others afterwards
	leadTime       = 200 * time.Millisecond // of that, before and after
	lookAgain      = 20 * time.Millisecond  // between two looks at who is subscribed
	subscribeLimit = time.Minute
	emptyHold      = 2 * time.Second // a server that has just started has things to do
	onlookers      = 40              // of harm.Watch, each a user
	pongLimit      = time.Minute
	quietPeriod    = 500 * time.Millisecond // after which nothing more comes that is on its way
)

// subscribe has many users connect to one instance at once, and cuts it off from Redis. whole also looks at memory, and
// starts Redis again.
func (m *feedMeasurement) subscribe(whole bool) error {
	servers, err := m.start(1)
	defer servers.stop()
	if err != nil {
		return err
	}
	s := &subscribing{feedMeasurement: m, server: servers[0], clock: note.NewClock(), few: min(maxFew, m.Subscribers/2)}
	if s.swarm, err = swarm.New(swarm.Config{Server: s.server.at, Path: "/ws", Secret: []byte(m.secret)}, s.clock); err != nil {
		return err
	}
	defer func() { _ = s.swarm.Stop() }()
	if err := s.run(whole); err != nil {
		return err
	}
	for problem, n := range s.swarm.Problems() {
		m.report.Problem(problem, n)
	}
	return nil
}

type subscribing struct {
	*feedMeasurement
	server instance
	swarm  *swarm.Swarm
	clock  note.Clock
	few    int // of the users get notifications while Redis is cut off

	toFew, toRest *redispub.Publisher
	onlookers     harm.Onlookers
	published     int
	lost          int // while Redis was cut off
}

func (s *subscribing) run(whole bool) error {
	if whole {
		if err := s.env.pause(min(emptyHold, s.Hold)); err != nil {
			return err
		}
	}
	before, err := s.look()
	if err != nil {
		return err
	}
	if err := s.connect(before); err != nil {
		return err
	}
	if whole {
		if err := s.hold(before); err != nil {
			return err
		}
	}
	if err := s.publishers(); err != nil {
		return err
	}
	defer func() { _, _ = s.toFew.Close(), s.toRest.Close() }()
	target := raw.Target{Server: s.server.at, Path: "/ws", Secret: []byte(s.secret), Patience: pongLimit}
	if s.onlookers, err = harm.Watch(s.env.ctx, target); err != nil {
		return err
	}
	defer s.onlookers.Stop()
	if err := s.cut(); err != nil {
		return err
	}
	if whole {
		if err := s.restart(); err != nil {
			return err
		}
	}
	missing := s.swarm.Missing(func(user int) uint32 { return s.toFew.Published(user) + s.toRest.Published(user) })
	addBooks(&s.report, s.published, missing-s.lost, s.swarm.Stats())
	return nil
}

// subscribeLook is everything at one moment.
type subscribeLook struct {
	server, redis procfs.Sample
	info          redisd.Info
	own           scrape.Values
}

func (s *subscribing) look() (l subscribeLook, err error) {
	if l.info, err = s.redis.Info(s.env.ctx); err != nil {
		return l, err
	}
	if l.own, err = s.scrape(s.server); err != nil {
		return l, err
	}
	if l.redis, err = s.redis.Sample(); err != nil {
		return l, err
	}
	l.server, err = procfs.Read(s.server.process.PID())
	return l, err
}

// connect has all connect, each of whom gets a 101 when the user is subscribed.
func (s *subscribing) connect(before subscribeLook) error {
	start := time.Now()
	if err := s.swarm.Open(s.env.ctx, 0, s.Subscribers, swarm.Pace{}); err != nil {
		return err
	}
	took := time.Since(start)
	after, err := s.look()
	if err != nil {
		return err
	}
	if now := s.swarm.Stats(); now.Open != s.Subscribers {
		return fmt.Errorf("%d of %d connections are open: %v", now.Open, s.Subscribers, s.swarm.Problems())
	}
	each := func(d time.Duration) float64 { return d.Seconds() * 1e6 / float64(s.Subscribers) }
	r, h := &s.report, s.swarm.Handshakes()
	r.Add(figConnected, took.Seconds(), "s")
	r.Add(figHandshake, each(after.server.Since(before.server).Running), "µs")
	r.Add(figHandRedis, each(after.redis.Since(before.redis).Running), "µs")
	r.Add(figHand50, float64(h.ValueAtQuantile(50))/1e6, "ms")
	r.Add(figHand99, float64(h.ValueAtQuantile(99))/1e6, "ms")
	commands := after.info.Since(before.info, "calls:subscribe") + after.info.Since(before.info, "calls:ssubscribe")
	r.Add(figCommands, float64(commands), "")
	r.Add(figClients, float64(after.info[redisd.Clients]-int64(len(s.redis.Addrs()))), "") // without our own
	return nil
}

// hold waits until the server is quiet, and looks at memory.
func (s *subscribing) hold(before subscribeLook) error {
	if err := s.env.pause(s.Hold); err != nil {
		return err
	}
	now, err := s.look()
	if err != nil {
		return err
	}
	each := func(name string) float64 { return float64(now.info.Since(before.info, name)) / float64(s.Subscribers) }
	r := &s.report
	r.Add(figAnon, mebi(now.server.Anon), "MiB")
	r.Add(figHeap, now.own[scrape.HeapInUse]/(1<<20), "MiB")
	r.Add(figRedisMemory, each(redisd.UsedMemory), "B a user")
	return nil
}

// publishers make one that publishes to a few users, and one to the others.
func (s *subscribing) publishers() error {
	cfg := redispub.Config{
		Redis: s.redis.Addrs()[0], Shards: s.redis.Shards(), Pad: burstPad, Rate: fewRate,
		Pattern: redispub.Pattern{Users: s.few, InTurn: true},
	}
	var err error
	if s.toFew, err = redispub.New(cfg, s.clock); err != nil {
		return err
	}
	cfg.Rate, cfg.Batch = restRate, time.Millisecond
	cfg.Pattern = redispub.Pattern{First: s.few, Users: s.Subscribers - s.few, InTurn: true}
	s.toRest, err = redispub.New(cfg, s.clock)
	return err
}

// cut ends all connections that have subscriptions, while a few users get notifications.
func (s *subscribing) cut() error {
	ctx, cancel := context.WithCancel(s.env.ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		run, err := s.toFew.Run(ctx, 2*subscribeLimit)
		s.published += run.Published
		done <- err
	}()
	if err := s.env.pause(leadTime); err != nil {
		return errors.Join(err, <-done)
	}
	before, err := s.look()
	if err != nil {
		return err
	}
	s.swarm.RecordFrom(s.clock.Now())
	start := time.Now()
	if err := s.redis.CutSubscribers(s.env.ctx); err != nil {
		return err
	}
	took, err := s.allSubscribed(start)
	if err != nil {
		return err
	}
	after, err := s.look()
	if err != nil {
		return err
	}
	pongs := s.onlookers.Since(s.env.ctx, start, pongLimit)
	err = s.env.pause(leadTime)
	cancel()
	if err := errors.Join(err, <-done); err != nil {
		return err
	}
	// All are subscribed: the latest comes to each, unless it was published before. Behind it nothing is on its way.
	awaitCount(s.env.ctx, patience, func() int { return -s.swarm.Behind(s.toFew.Published) }, 0)
	s.lost = s.swarm.Missing(s.toFew.Published)
	r := &s.report
	r.Add(figCut, took.Seconds(), "s")
	r.Add(figCutDeaf, float64(s.lost)/fewRate, "s")
	r.Add(figCutCPU, after.server.Since(before.server).Running.Seconds()*1e3, "ms")
	r.Add(figCutRedis, after.redis.Since(before.redis).Running.Seconds()*1e3, "ms")
	r.Add(figCutP99, float64(s.swarm.Latencies().ValueAtQuantile(99))/1e6, "ms")
	r.Add(figCutPong99, pongs.P99.Seconds()*1e3, "ms")
	r.Add(figCutPong, pongs.Max.Seconds()*1e3, "ms")
	return s.notifyFast()
}

// notifyFast is notifyRest, and looks at what that costs.
func (s *subscribing) notifyFast() error {
	before, err := s.look()
	if err != nil {
		return err
	}
	if err := s.notifyRest(); err != nil {
		return err
	}
	after, err := s.look()
	if err != nil {
		return err
	}
	each := func(d time.Duration) float64 { return d.Seconds() * 1e6 / float64(s.Subscribers-s.few) }
	s.report.Add(figFastRoost, each(after.server.Since(before.server).Running), "µs")
	s.report.Add(figFastRedis, each(after.redis.Since(before.redis).Running), "µs")
	return nil
}

// restart ends Redis and starts it again.
func (s *subscribing) restart() error {
	before, err := procfs.Read(s.server.process.PID())
	if err != nil {
		return err
	}
	start := time.Now()
	if err := s.redis.Restart(s.env.ctx); err != nil {
		return err
	}
	back := time.Now()
	took, err := s.allSubscribed(back)
	if err != nil {
		return err
	}
	after, err := procfs.Read(s.server.process.PID())
	if err != nil {
		return err
	}
	pongs := s.onlookers.Since(s.env.ctx, start, pongLimit)
	r := &s.report
	r.Add(figAway, back.Sub(start).Seconds(), "s")
	r.Add(figBack, took.Seconds(), "s")
	r.Add(figRestartCPU, after.Since(before).Running.Seconds()*1e3, "ms")
	r.Add(figRestartPong, pongs.Max.Seconds()*1e3, "ms")
	if err := s.toRest.Redial(); err != nil {
		return err
	}
	return s.notifyRest()
}

// notifyRest notifies each user who has not been notified meanwhile, and waits until that has come.
func (s *subscribing) notifyRest() error {
	before := s.swarm.Stats().Received
	run, err := s.toRest.RunCount(s.env.ctx, s.Subscribers-s.few)
	if err != nil {
		return err
	}
	s.published += run.Published
	awaitCount(s.env.ctx, patience, func() int { return s.swarm.Stats().Received }, before+run.Expected)
	return nil
}

// errDeaf is wrapped by what allSubscribed says when it takes too long.
var errDeaf = errors.New("not everybody is subscribed again")

// allSubscribed waits until Redis has all subscriptions again and the server knows it, and returns how long after start.
// Redis is asked too, because the server may not have noticed yet that they were gone.
func (s *subscribing) allSubscribed(start time.Time) (time.Duration, error) {
	for {
		info, failed := s.redis.Info(s.env.ctx)
		own, err := s.scrape(s.server)
		if err != nil {
			return 0, err
		}
		took := time.Since(start)
		switch {
		case failed == nil && s.subscribed(info, own):
			return took, nil
		case took > subscribeLimit:
			return 0, fmt.Errorf("%w after %s: %v, %v; Redis has %d channels", errDeaf, subscribeLimit, own[metricSubscribed], failed,
				info[redisd.Channels]+info[redisd.ShardChannels])
		}
		if err := s.env.pause(lookAgain); err != nil {
			return 0, err
		}
	}
}

func (s *subscribing) subscribed(info redisd.Info, own scrape.Values) bool {
	users := s.Subscribers + onlookers
	all := own[metricSubscribed] == float64(users) && own[metricUnsubscribed] == 0
	switch s.feed {
	case "user":
		return all && info[redisd.Channels] >= int64(users)
	case "sharded":
		return all && info[redisd.ShardChannels] == int64(users) && own[metricRedisUp] == 1 && info[redisd.Patterns] > 0
	}
	return own[metricRedisUp] == 1 && info[redisd.Patterns] > 0
}
