package soak

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"roost/cmd/roost/internal/roosttest"
	"roost/internal/pause"
)

const (
	// mayGrow is how much more memory than in the beginning the server may hold in the end: what the runtime keeps for
	// the next storm, and the garbage for which gcpace would not collect. A hundred bytes for each of the connections
	// of five minutes would be more.
	mayGrow = 8 << 20
	// release is how long gcpace may take to find that nothing goes on: it looks every ten seconds.
	release = 45 * time.Second
	// faultsShown is how many faults are printed: one mistake shows in thousands of places.
	faultsShown = 20
)

// judge holds what the healthy clients got against what was published.
func (s *soak) judge(t *testing.T) {
	t.Helper()
	for user, clients := range s.clients {
		var got []record
		for _, h := range clients {
			if h.err != nil {
				s.outcome.fault("%s: a healthy connection ended: %v", user, h.err)
			}
			s.outcome.faults = append(s.outcome.faults, h.faults...)
			got = append(got, h.record)
			s.took = append(s.took, h.took...)
		}
		s.outcome.add(judge(user, s.publisher.ledger[user], s.cuts, got))
	}
	for _, r := range s.resumers {
		arrived, faults := r.judge(s.publisher.ledger[r.user])
		s.outcome.faults = append(s.outcome.faults, faults...)
		s.resumed.arrived += arrived
		s.resumed.times += r.resumed
	}
	if s.resumed.times == 0 || s.resumed.arrived == 0 {
		t.Errorf("nobody resumed: %+v", s.resumed)
	}
	for i, fault := range s.outcome.faults {
		if i == faultsShown {
			t.Errorf("and %d faults more", len(s.outcome.faults)-i)
			break
		}
		t.Error(fault)
	}
	if s.outcome.arrived == 0 {
		t.Error("nothing arrived")
	}
	s.newClients.check(t)
	s.full.check(t)
}

// awaitRest waits until the server is as it was in the beginning.
func (s *soak) awaitRest(t *testing.T) {
	t.Helper()
	for _, name := range []string{"roost_connections", "roost_users", "roost_sockets", "roost_sockets_lingering", "roost_deliveries_waiting",
		`roost_mailbox_items{loop="0"}`, `roost_mailbox_items{loop="1"}`, "roost_queued_bytes", "roost_stalled_connections"} {
		s.server.WaitMetric(name, 0)
	}
	s.checkMetrics(t)
	roosttest.WaitFor(t, "the goroutines of the beginning", func() bool {
		s.metrics = s.server.Metrics()
		return int(s.metrics["go_goroutines"]) <= s.before.goroutines
	})
	roosttest.WaitFor(t, "the descriptors of the beginning", func() bool {
		return measure(t, s.server).descriptors <= s.before.descriptors
	})
	s.checkMemory(t)
	s.after.goroutines = int(s.metrics["go_goroutines"])
}

// checkMetrics wants the balance, no panic, and a sign of each kind of trouble: one that nothing shows was none.
func (s *soak) checkMetrics(t *testing.T) {
	t.Helper()
	m := s.server.Metrics()
	accepted, sent, failed := m["roost_deliveries_accepted_total"], m["roost_deliveries_sent_total"], m.Sum("roost_deliveries_failed_total")
	if accepted == 0 || accepted != sent+failed {
		t.Errorf("accepted %v, but sent %v and failed %v", accepted, sent, failed)
	}
	if n := m["roost_panics_total"]; n != 0 {
		t.Errorf("%v panics", n)
	}
	for _, what := range s.missing(m) {
		t.Error(what)
	}
	if got := int(m["roost_redis_reconnects_total"]); got < len(s.cuts) {
		t.Errorf("Redis was cut %d times, and %d reconnects are counted", len(s.cuts), got)
	}
}

// missing says which kinds of trouble have not happened, or do not show in the metrics.
func (s *soak) missing(m roosttest.Metrics) (all []string) {
	for i, kind := range s.kinds {
		long := s.plan.length > kind.takes
		if long && s.acts[i].Load() == 0 {
			all = append(all, fmt.Sprintf("%q never happened", kind.name))
		}
		if long && m[kind.shows] == 0 {
			all = append(all, fmt.Sprintf("%q does not show in %s", kind.name, kind.shows))
		}
	}
	for _, trouble := range redisTroubles() {
		if s.troubles[trouble.name] == 0 {
			all = append(all, fmt.Sprintf("Redis was never %q", trouble.name))
		}
	}
	return all
}

// checkMemory waits for memory to be given back. It looks from outside: to answer costs the server memory too.
func (s *soak) checkMemory(t *testing.T) {
	t.Helper()
	small := func() bool {
		s.after = measure(t, s.server)
		return s.after.rss <= s.before.rss+mayGrow && s.after.anon <= s.before.anon+mayGrow
	}
	enough := small()
	s.peak.peak(s.after)
	if enough || roosttest.RaceEnabled { // the race detector's memory is never given back
		return
	}
	deadline := time.Now().Add(release)
	for !small() {
		if time.Now().After(deadline) {
			t.Errorf("memory grew from RSS %d, anonymous %d to %d, %d", s.before.rss, s.before.anon, s.after.rss, s.after.anon)
			return
		}
		pause.For(t.Context(), 100*time.Millisecond)
	}
}

// end stops the server, as a supervisor does, and reads its last words.
func (s *soak) end(t *testing.T) {
	t.Helper()
	if code := s.server.Stop(); code != 0 {
		t.Errorf("ended with %d after SIGTERM", code)
	}
	if strings.Contains(s.server.Log.String(), "handling failed") {
		t.Error("the log says that serving a connection failed")
	}
	for _, line := range s.server.Log.Lines() {
		if level := line.Text("level"); level == "ERROR" || level == "CRITICAL" {
			t.Errorf("the log says %v", line)
		}
	}
	if text := s.server.Stderr.String(); text != "" {
		t.Errorf("standard error: %s", text)
	}
}
