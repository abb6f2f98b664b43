package faults

import (
	"fmt"
	"testing"
	"time"

	"roost/cmd/roost/internal/roosttest"
)

// result is what came of the rounds of a scenario with a feed.
type result struct {
	scenario, feed string

	rounds    int
	tally     tally
	gaps      float64 // that the server has counted
	failed    float64 // deliveries that the server has counted as failed
	notices   float64
	recovered []time.Duration // from when nothing was wrong any more until everybody got what was published
}

func (r *result) add(one result) {
	r.rounds++
	r.tally.add(one.tally)
	r.gaps += one.gaps
	r.failed += one.failed
	r.notices += one.notices
	r.recovered = append(r.recovered, one.recovered...)
}

// round makes a fault happen in the middle of the traffic, waits until everybody gets what is published, and judges.
func (s *stand) round(t *testing.T, f scenario) (r result) {
	t.Helper()
	s.elapse(500 * time.Millisecond) // of traffic before
	if s.full {
		s.elapse(lasting) // a link that is younger than that would count as one that flaps
	}
	first, before := s.book.count(), s.roost.Metrics()
	well := f.fail(t, s)
	s.awaitTraffic(t, well)
	s.elapse(500 * time.Millisecond) // of traffic after
	s.pace.Lock()
	defer s.pace.Unlock()
	s.awaitLast(t)
	defer func() {
		if t.Failed() {
			t.Logf("%s: %+v, gaps that were told: %v", f.name, r.tally, s.clients[0].gaps)
		}
	}()
	roosttest.WaitFor(t, "what is lost to be told", func() bool {
		r.tally = s.judge(t, first)
		return r.tally.untold == 0
	})
	if s.relay != nil {
		s.relay.CloseDead() // what died must not be read from for ever
	}
	after := s.roost.Metrics()
	r.gaps = after["roost_redis_gaps_total"] - before["roost_redis_gaps_total"]
	r.notices = after["roost_gap_notices_total"] - before["roost_gap_notices_total"]
	r.failed = after.Sum("roost_deliveries_failed_total") - before.Sum("roost_deliveries_failed_total")
	r.recovered = []time.Duration{s.recovery(well, r.tally.lastLost, first)}
	if lost := r.tally.due - r.tally.delivered; lost > 0 && r.gaps+r.failed == 0 {
		t.Errorf("%d deliveries are lost, and nothing is counted", lost)
	}
	t.Logf("%s: due %d, delivered %d, told %d, %v gaps counted, %v deliveries failed, back after %s",
		f.name, r.tally.due, r.tally.delivered, r.tally.told, r.gaps, r.failed, r.recovered[0])
	return r
}

// awaitTraffic waits until every connection has got something that was published after a time.
func (s *stand) awaitTraffic(t *testing.T, after time.Time) {
	t.Helper()
	for _, c := range s.clients {
		roosttest.WaitFor(t, "traffic for "+c.user, func() bool {
			c.mu.Lock()
			last := c.last
			c.mu.Unlock()
			return last >= 0 && s.book.since(c.user, last)[0].begun.After(after)
		})
	}
}

// awaitLast waits until every connection has got the last that was published for its user: what has not come by then is
// lost. The caller holds s.pace, so nothing more is published.
func (s *stand) awaitLast(t *testing.T) {
	t.Helper()
	for _, c := range s.clients {
		list := s.book.since(c.user, 0)
		last := len(list) - 1
		for last >= 0 && !list[last].took {
			last--
		}
		roosttest.WaitFor(t, fmt.Sprintf("number %d of %s", last, c.user), func() bool { return c.has(last) })
	}
}

// judge adds up what all connections got since the beginning of the round.
func (s *stand) judge(t *testing.T, first map[string]int) (all tally) {
	t.Helper()
	for _, c := range s.clients {
		got, gaps, faults := c.seen()
		for _, fault := range faults {
			t.Errorf("%s: %s", c.user, fault)
		}
		all.add(judge(s.book.since(c.user, first[c.user]), first[c.user], got, gaps))
	}
	return all
}

// recovery is how long after a time the first notification was published from which on everybody got everything.
func (s *stand) recovery(well, lastLost time.Time, first map[string]int) (took time.Duration) {
	from := well
	if lastLost.After(from) {
		from = lastLost
	}
	took = time.Hour
	for user, number := range first {
		for _, p := range s.book.since(user, number) {
			if p.took && p.begun.After(from) {
				took = min(took, p.begun.Sub(well))
			}
		}
	}
	return took
}
