package netpoll

import (
	"math"
	"math/bits"
	"time"

	"roost/wsproto"
)

// checkQueue is the checks that wait for a worker. Who has a right to come in must not
// wait behind those who only try: so tokens that name a key that is known go first,
// then those of the sources with the fewest checks of late that came to nothing, and of
// these the newest. Who waits behind all others would wait in vain anyway; it is also
// the one who goes when there are too many. Guarded by the checkers' lock. Make it with
// newCheckQueue.
type checkQueue struct {
	lists    [wsproto.TurnCount][unprovenRanks]checkList
	waiting  int
	unproven map[source]unproven
}

// checkList is a list of checks, the newest last.
type checkList struct{ first, last *check }

const (
	// unprovenRanks is into how many ranks sources go by their checks that came to nothing,
	// each for twice as many as the one before.
	unprovenRanks = 16
	// unprovenHalf is after what time half of these are forgotten.
	unprovenHalf = 4 * time.Second
	// unprovenSources bounds the sources that are remembered. Beyond it all are forgotten:
	// then the newest go first.
	unprovenSources = 16 << 10
)

// unproven is how many checks a source has asked for that have not found a good token, or
// not yet.
type unproven struct {
	n  float32
	at instant
}

func newCheckQueue() checkQueue { return checkQueue{unproven: make(map[source]unproven)} }

// push puts a check in, and counts it against its source.
func (q *checkQueue) push(k *check, now time.Duration) {
	n := q.unprovenOf(k.source, now)
	q.setUnproven(k.source, n+1, now)
	k.rank = uint8(min(bits.Len(uint(n)), unprovenRanks-1))
	q.list(k).append(k)
	k.queued = true
	q.waiting++
}

// pop takes the check out whose turn it is; nil if none waits.
func (q *checkQueue) pop() *check {
	for turn := range q.lists {
		for rank := range q.lists[turn] {
			if k := q.lists[turn][rank].last; k != nil {
				q.remove(k)
				return k
			}
		}
	}
	return nil
}

// worst returns the check that waits behind all others, nil if none waits.
func (q *checkQueue) worst() *check {
	for turn := len(q.lists) - 1; turn >= 0; turn-- {
		for rank := unprovenRanks - 1; rank >= 0; rank-- {
			if k := q.lists[turn][rank].first; k != nil {
				return k
			}
		}
	}
	return nil
}

// remove takes a check out; one that is not in does no harm.
func (q *checkQueue) remove(k *check) {
	if k.queued {
		q.list(k).remove(k)
		k.queued = false
		q.waiting--
	}
}

// proven says that a source's check has found a good token.
func (q *checkQueue) proven(of source, now time.Duration) {
	q.setUnproven(of, q.unprovenOf(of, now)-1, now)
}

func (q *checkQueue) unprovenOf(of source, now time.Duration) float32 {
	u, ok := q.unproven[of]
	if !ok {
		return 0
	}
	return u.n * float32(math.Exp2(-u.at.ago(now).Seconds()/unprovenHalf.Seconds()))
}

func (q *checkQueue) setUnproven(of source, n float32, now time.Duration) {
	if n < 0.5 {
		delete(q.unproven, of)
		return
	}
	if len(q.unproven) >= unprovenSources {
		q.unproven = make(map[source]unproven)
	}
	q.unproven[of] = unproven{n, instantOf(now)}
}

func (q *checkQueue) list(k *check) *checkList { return &q.lists[k.req.Turn][k.rank] }

func (l *checkList) append(k *check) {
	k.prev = l.last
	if l.last == nil {
		l.first = k
	} else {
		l.last.next = k
	}
	l.last = k
}

func (l *checkList) remove(k *check) {
	if k.prev == nil {
		l.first = k.next
	} else {
		k.prev.next = k.next
	}
	if k.next == nil {
		l.last = k.prev
	} else {
		k.next.prev = k.prev
	}
	k.next, k.prev = nil, nil
}
