package netpoll

import (
	"math/rand/v2"
	"testing"

	"roost/hub"
)

func TestQueueRank(t *testing.T) {
	t.Parallel()
	last := queueRank(0)
	for _, bytes := range []int{-1, 0} {
		if queueRank(bytes) != 0 {
			t.Errorf("%d bytes have rank %d, want 0", bytes, queueRank(bytes))
		}
	}
	for bytes := 1; bytes < 1<<34; bytes += 1 + bytes/100 {
		rank := queueRank(bytes)
		if rank < last || rank > last+1 {
			t.Fatalf("%d bytes have rank %d, fewer have %d", bytes, rank, last)
		}
		if smaller := bytes - bytes/8 - 1; smaller > 0 && bytes < 1<<33 && queueRank(smaller) == rank {
			t.Fatalf("%d and %d bytes have the same rank", bytes, smaller)
		}
		last = rank
	}
	if queueRank(1<<62) != ranks-1 {
		t.Errorf("the largest have rank %d", queueRank(1<<62))
	}
}

// The model is to look at all of them.
func TestRankingAgainstModel(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	var r ranking
	conns := make([]*conn, 50)
	for i := range conns {
		conns[i] = &conn{out: new(outQueue)}
	}
	for range 20_000 {
		c := conns[rng.IntN(len(conns))]
		switch rng.IntN(8) {
		case 0:
			r.remove(c.out)
			*c.out = outQueue{}
		case 1:
			c.out.dropNewest()
			r.put(c)
		default:
			c.out.push(&hub.Notification{Frame: make([]byte, 1<<rng.IntN(12))})
			r.put(c)
		}
		top := -1
		for _, c := range conns {
			if c.out.notifications() >= 2 {
				top = max(top, queueRank(c.out.cost()))
			}
		}
		if r.top() != top {
			t.Fatalf("the highest rank is %d, want %d", r.top(), top)
		}
		fullest := r.fullest(func(*outQueue) bool { return false })
		if (fullest == nil) != (top < 0) || fullest != nil && queueRank(fullest.out.cost()) != top {
			t.Fatalf("the fullest is %v, the highest rank %d", fullest, top)
		}
		odd := func(q *outQueue) bool { return q.notifications()%2 == 1 }
		if c := r.fullest(odd); c != nil && !odd(c.out) && c != fullest {
			t.Fatal("one was found that is neither preferred nor the fullest")
		}
	}
}

// Those that are preferred pay first, if they are among the fullest.
func TestRankingPrefers(t *testing.T) {
	t.Parallel()
	var r ranking
	var conns []*conn
	for i := range 20 {
		c := &conn{out: new(outQueue)}
		for range 2 {
			c.out.push(&hub.Notification{Frame: make([]byte, 100<<i)})
		}
		r.put(c)
		conns = append(conns, c)
	}
	for i, want := range map[int]int{19: 19, 10: 10, 4: 4, 3: 19} { // 3 is the seventeenth
		got := r.fullest(func(q *outQueue) bool { return q == conns[i].out })
		if got != conns[want] {
			t.Errorf("%d is preferred, and %d pays", i, indexOf(conns, got))
		}
	}
}

func indexOf(conns []*conn, c *conn) int {
	for i := range conns {
		if conns[i] == c {
			return i
		}
	}
	return -1
}
