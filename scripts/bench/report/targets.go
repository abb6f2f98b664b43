package main

import (
	"fmt"
	"strings"
)

// Names of figures, as roostbench writes them.
const (
	cpuHandshake    = "CPU a handshake"
	cpuNotification = "CPU a notification"
	userCPU         = "user CPU a notification"
	p50, p99        = "latency p50", "latency p99"
)

// targets are all of them, in the order of the page.
func (s *summary) targets() []verdict {
	var all []verdict
	for _, part := range [][]verdict{s.memoryTargets(), s.handshakeTargets(), s.deliveryTargets(), s.burstTargets(), s.idleTargets(), s.scaleTargets(), s.tlsTargets(), s.upgradeTargets()} {
		all = append(all, part...)
	}
	return all
}

func (s *summary) memoryTargets() []verdict {
	slope := s.measured("idle", ours, "RssAnon a connection", "B")
	return []verdict{
		atMost("memory", "At most 850 B of RssAnon an idle connection", slope, 850),
		atMost("memory-stretch", "The stretch: at most 700 B", slope, 700),
		atMost("memory-dream", "The dream: at most 512 B", slope, 512),
		atMost("goroutines", "No goroutine a connection", s.goroutines(), 0.001),
		atMost("churn", "After 102,000 connects and disconnects RSS is back within 10%",
			s.measured("churn", ours, "RSS, after to before", "times what it was"), 1.1),
		atMost("registry", "In memory the cost a connection stays flat: with 1,000,000 at most 1.25 times that with 10,000", s.flatness(), 1.25),
	}
}

// goroutines is how many a connection more there are.
func (s *summary) goroutines() *result {
	sizes := s.sizes("idle", ours, "goroutines")
	if len(sizes) < 2 {
		return nil
	}
	few, many := sizes[0], sizes[len(sizes)-1]
	a, b := s.at("idle", ours, "goroutines", few, ""), s.at("idle", ours, "goroutines", many, "")
	return &result{(b.value - a.value) / float64(many-few), fmt.Sprintf("%s with %s connections, %s with %s",
		a.text, number(float64(few)), b.text, number(float64(many)))}
}

// flatness compares the bytes a connection of the Go benchmarks that report them.
func (s *summary) flatness() *result {
	var worst *result
	for _, one := range s.allSeries() {
		few, many := one.at[10_000]["B/conn"], one.at[1_000_000]["B/conn"]
		if few == 0 || many == 0 {
			continue
		}
		if r := many / few; worst == nil || r > worst.value {
			worst = &result{r, fmt.Sprintf("%.2f times (%s: %s and %s B)", r, one.name, number(few), number(many))}
		}
	}
	return worst
}

func (s *summary) handshakeTargets() []verdict {
	return []verdict{
		atMost("handshake", "A handshake costs at most 0.45 times the gorilla design's CPU", s.against("connect", cpuHandshake, ours, usual), 0.45),
		atMost("handshake-best", "and no more than any peer's", s.againstBest("connect", cpuHandshake), 1),
		atMost("storm", "While 18,000 connect at once the p99 of deliveries to others stays under 50 ms",
			s.measured("deliver-storm", ours, p99, "ms"), 50),
	}
}

func (s *summary) deliveryTargets() []verdict {
	const busy, full = "deliver-10k", "deliver-max"
	return []verdict{
		atMost("deliver", "10,000 a second: at most 0.9 times the gorilla design's CPU", s.against(busy, cpuNotification, ours, usual), 0.9),
		atMost("deliver-window", "with `WS_FLUSH_WINDOW=1ms` at most 0.65 times", s.against(busy, cpuNotification, window, usual), 0.65),
		atMost("saturation", "At saturation at most 0.65 times its CPU", s.against(full, cpuNotification, ours, usual), 0.65),
		atMost("saturation-user", "and at most 0.4 times its user CPU", s.against(full, userCPU, ours, usual), 0.4),
		atMost("saturation-floor", "and at most 1.15 times that of [the floor](#the-floor)", s.against(full, cpuNotification, ours, floor), 1.15),
		atMost("p50", "10,000 a second: p50 within 10% of the best peer's, or below it", s.pairs(busy, p50, "ms"), 1.1),
		atMost("p99", "p99 within 10% of the best peer's, or below it", s.pairs(busy, p99, "ms"), 1.1),
		atMost("p50-window", "with `WS_FLUSH_WINDOW=1ms` p50 at most 1 ms above", s.windowCost(busy), 1),
		atMost("wakeups", "Well under one wake-up a notification when busy (taken as: at most 0.5 at saturation)",
			s.measured(full, ours, "wake-ups a notification", ""), 0.5),
		atMost("absent", "A notification for an absent user costs at most 0.3 µs", s.absent(), 300),
		atMost("feed-absent", "One feed reads 2 million notifications a second for absent users: at most 0.5 µs each", s.feedAbsent(), 500),
		atMost("losses", "Nothing lost, twice, out of order or misdirected; no connection lost", s.losses(), 0),
	}
}

// windowCost is by how much the window raises the median latency.
func (s *summary) windowCost(step string) *result {
	without, ok1 := s.median(step, ours, p50)
	with, ok2 := s.median(step, window, p50)
	if !ok1 || !ok2 {
		return nil
	}
	return &result{with - without, fmt.Sprintf("%s ms above (%s and %s ms)", number(with-without), number(with), number(without))}
}

// absent is the Go benchmark of a notification for a user who is not here.
func (s *summary) absent() *result {
	var worst *result
	for _, b := range s.Benchmarks {
		if !strings.HasPrefix(b.Name, "DeliverAbsent") && !strings.HasPrefix(b.Name, "Hub/offline") {
			continue
		}
		if v, ok := b.Metrics["ns/op"]; ok && (worst == nil || v > worst.value) {
			worst = &result{v, fmt.Sprintf("%s ns, %s allocations in the hub (%s)", number(v), number(b.Metrics["allocs/op"]), b.Name)}
		}
	}
	return worst
}

// feedAbsent is the Go benchmark of the whole way of such a notification, from a socket to the hub.
func (s *summary) feedAbsent() *result {
	for _, b := range s.Benchmarks {
		if v, ok := b.Metrics["ns/op"]; ok && b.Name == "FeedAbsent" {
			return &result{v, fmt.Sprintf("%s ns, %s allocations (%s)", number(v), number(b.Metrics["allocs/op"]), b.Name)}
		}
	}
	return nil
}

func (s *summary) idleTargets() []verdict {
	return []verdict{
		atMost("idle", "18,000 idle connections cost at most 1.5% of a core with pings every 30 s",
			s.at("idle", ours, "CPU idling", 18_000, "%"), 1.5),
		atMost("nobody", "Nothing wakes with nobody connected (taken as: at most 10 wake-ups a second)",
			s.measured("idle", ours, "wake-ups with nobody connected", "a second"), 10),
	}
}

func (s *summary) scaleTargets() []verdict {
	lost := s.measured("scale-100k", ours, "missing", "notifications lost")
	return []verdict{
		atMost("scale", "100,000 connections to six processes: at most 100 MiB of RssAnon in all",
			s.measured("scale-100k", ours, "RssAnon in all", "MiB"), 100),
		atMost("scale-lost", "and nothing lost", lost, 0),
	}
}
