package sendqueue

import "math/bits"

// ranks is the number of classes of size: eight for each doubling, so that queues
// of the same rank differ by an eighth at most.
const (
	rankBits = 3
	ranks    = 256
)

// queueRank returns the class of a size. Sizes of 15 GiB and more share the last.
func queueRank(bytes int) int {
	if bytes < 1<<rankBits {
		return max(bytes, 0)
	}
	exponent := bits.Len(uint(bytes)) - 1 - rankBits
	return min(exponent<<rankBits+bytes>>exponent, ranks-1)
}

// Ranking finds the fullest of many queues. Moving one costs a few pointer
// writes, whatever the number of queues. The zero value is empty.
type Ranking struct {
	lists    [ranks]*Queue // each the first of a list
	occupied [ranks / 64]uint64
}

// place is a queue's place in the ranking.
type place struct {
	in   bool
	next *Queue // of the same rank
	from **Queue
	rank uint8
}

// Put places a queue by its cost, or moves one that has a place already. A queue
// with a single notification has no place in it.
func (r *Ranking) Put(q *Queue) {
	if len(q.frames) == q.head || q.Len() < 2 {
		r.Remove(q)
		return
	}
	rank := queueRank(q.Cost())
	if q.place.in {
		if int(q.place.rank) == rank {
			return
		}
		r.Remove(q)
	}
	first := &r.lists[rank]
	q.place = place{in: true, next: *first, from: first, rank: uint8(rank)}
	if *first != nil {
		(*first).place.from = &q.place.next
	}
	*first = q
	r.occupied[rank/64] |= 1 << (rank % 64)
}

// Remove takes a queue out; one that is not in does no harm.
func (r *Ranking) Remove(q *Queue) {
	p := &q.place
	if !p.in {
		return
	}
	*p.from = p.next
	if p.next != nil {
		p.next.place.from = p.from
	}
	if rank := p.rank; r.lists[rank] == nil {
		r.occupied[rank/64] &^= 1 << (rank % 64)
	}
	*p = place{}
}

// Top returns the highest rank that is taken, or -1.
func (r *Ranking) Top() int { return r.below(ranks) }

// below returns the highest rank below another that is taken, or -1.
func (r *Ranking) below(rank int) int {
	for rank--; rank >= 0; {
		// The bits of this word of the bitmap from rank down.
		if rest := r.occupied[rank/64] << (63 - rank%64); rest != 0 {
			return rank - bits.LeadingZeros64(rest)
		}
		rank = rank/64*64 - 1
	}
	return -1
}

// Fullest returns the fullest queue that prefer holds for, of
// those with the highest ranks, looking at a few; where it holds for none of them,
// the fullest of all. Nil if no queue has a place.
func (r *Ranking) Fullest(prefer func(*Queue) bool) *Queue {
	const looks = 16
	looked, first := 0, (*Queue)(nil)
	for rank := r.Top(); rank >= 0; rank = r.below(rank) {
		for q := r.lists[rank]; q != nil; q = q.place.next {
			if prefer(q) {
				return q
			}
			if first == nil {
				first = q
			}
			if looked++; looked == looks {
				return first
			}
		}
	}
	return first
}

// Ranked reports whether the queue has a place in a ranking.
func (q *Queue) Ranked() bool { return q.place.in }
