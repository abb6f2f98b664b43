package top

import (
	"time"

	"roost/httpapi"
)

// keptSamples are enough for the widest line of history that is drawn: ten seconds each.
const keptSamples = 120

// state is what is known of the server. Owned by one goroutine at a time.
type state struct {
	now, before *httpapi.Overview // the latest two answers of the same process; nil before there are any
	samples     []httpapi.Sample  // the last minutes, oldest first
	answered    time.Time         // when now came
	failure     string            // why the latest question has no answer; "" if it has
}

// since is what to ask for: the samples that are not here yet.
func (s *state) since() int64 {
	if len(s.samples) == 0 {
		return 0
	}
	return s.samples[len(s.samples)-1].At
}

// answer takes over what the server said.
func (s *state) answer(o *httpapi.Overview, at time.Time) {
	if s.now != nil && s.now.Started != o.Started { // another process: its counters began at 0
		s.now, s.samples = nil, nil
	}
	s.samples = append(s.samples, o.History...)
	if extra := len(s.samples) - keptSamples; extra > 0 {
		s.samples = append(s.samples[:0], s.samples[extra:]...)
	}
	if s.now != nil && s.now.At == o.At {
		s.now = o // the same reading again: what it is compared with stays
	} else {
		s.before, s.now = s.now, o
	}
	s.answered, s.failure = at, ""
}

// fail notes why there is no answer. The numbers stay.
func (s *state) fail(err error) { s.failure = err.Error() }

// seconds are those between the two answers; 0 if there is one only.
func (s *state) seconds() float64 {
	if s.before == nil {
		return 0
	}
	return float64(s.now.At-s.before.At) / 1000
}

// perSecond is how fast a counter rises; ok is false while there is one answer only.
func (s *state) perSecond(of func(*httpapi.Overview) float64) (n float64, ok bool) {
	seconds := s.seconds()
	if seconds <= 0 {
		return 0, false
	}
	return max(0, (of(s.now)-of(s.before))/seconds), true
}

// latest is the newest sample; ok is false in a server's first seconds.
func (s *state) latest() (sample httpapi.Sample, ok bool) {
	if len(s.samples) == 0 {
		return sample, false
	}
	return s.samples[len(s.samples)-1], true
}

// total is the sum of a counter by reason.
func total(byReason map[string]uint64) (sum float64) {
	for _, n := range byReason {
		sum += float64(n)
	}
	return sum
}
