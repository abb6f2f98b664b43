package sendqueue

import (
	"testing"
	"time"

	"roost/hub"
)

// A queue is full by bytes at any time, and by messages only for a client that has taken nothing for a while.
func TestFull(t *testing.T) {
	t.Parallel()
	n := &hub.Notification{Frame: make([]byte, 100)}
	var q Queue
	for range 3 {
		q.Push(n)
	}
	q.Progress.Stall(time.Minute, 1000)
	next := q.Cost() + q.Cost()/3 // with one more
	for name, test := range map[string]struct {
		bytes, messages int
		now             time.Duration
		full            bool
	}{
		"room":                                  {next, 4, time.Hour, false},
		"a byte too many":                       {next - 1, 4, time.Minute, true},
		"as many messages, of a quick client":   {next, 3, time.Minute + SlowAfter - 1, false},
		"as many messages, of one that is slow": {next, 3, time.Minute + SlowAfter, true},
	} {
		if got := q.Full(n, test.bytes, test.messages, test.now); got != test.full {
			t.Errorf("%s: %v", name, got)
		}
	}
	if q.Idle(time.Minute+SlowAfter-1) || !q.Idle(time.Minute+SlowAfter) {
		t.Error("it is not SlowAfter that makes a client slow")
	}
}

// A client that takes nothing pays before one that takes something, whatever waits; of equals the larger queue pays.
func TestGreedier(t *testing.T) {
	t.Parallel()
	n := &hub.Notification{Frame: make([]byte, 100)}
	queue := func(frames int, stalled time.Duration) *Queue {
		q := new(Queue)
		for range frames {
			q.Push(n)
		}
		q.Progress.Stall(stalled, 1000)
		return q
	}
	const now = time.Minute + SlowAfter
	idle, large, small := queue(1, time.Minute), queue(5, now), queue(2, now)
	if !idle.Greedier(large, now) || large.Greedier(idle, now) {
		t.Error("the client that takes nothing does not pay first")
	}
	if !large.Greedier(small, now) || small.Greedier(large, now) || small.Greedier(small, now) {
		t.Error("of two that take something the larger queue does not pay")
	}
}
