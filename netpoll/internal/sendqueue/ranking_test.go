package sendqueue

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
	var r Ranking
	queues := make([]*Queue, 50)
	for i := range queues {
		queues[i] = new(Queue)
	}
	for range 20_000 {
		q := queues[rng.IntN(len(queues))]
		switch rng.IntN(8) {
		case 0:
			r.Remove(q)
			*q = Queue{}
		case 1:
			q.DropNewest()
			r.Put(q)
		default:
			q.Push(&hub.Notification{Frame: make([]byte, 1<<rng.IntN(12))})
			r.Put(q)
		}
		top := -1
		for _, q := range queues {
			if q.Len() >= 2 {
				top = max(top, queueRank(q.Cost()))
			}
		}
		if r.Top() != top {
			t.Fatalf("the highest rank is %d, want %d", r.Top(), top)
		}
		fullest := r.Fullest(func(*Queue) bool { return false })
		if (fullest == nil) != (top < 0) || fullest != nil && queueRank(fullest.Cost()) != top {
			t.Fatalf("the fullest is %v, the highest rank %d", fullest, top)
		}
		odd := func(q *Queue) bool { return q.Len()%2 == 1 }
		if q := r.Fullest(odd); q != nil && !odd(q) && q != fullest {
			t.Fatal("one was found that is neither preferred nor the fullest")
		}
	}
}

// Those that are preferred pay first, if they are among the fullest.
func TestRankingPrefers(t *testing.T) {
	t.Parallel()
	var r Ranking
	var queues []*Queue
	for i := range 20 {
		q := new(Queue)
		for range 2 {
			q.Push(&hub.Notification{Frame: make([]byte, 100<<i)})
		}
		r.Put(q)
		queues = append(queues, q)
	}
	for i, want := range map[int]int{19: 19, 10: 10, 4: 4, 3: 19} { // 3 is the seventeenth
		got := r.Fullest(func(q *Queue) bool { return q == queues[i] })
		if got != queues[want] {
			t.Errorf("%d is preferred, and %d pays", i, indexOf(queues, got))
		}
	}
}

func indexOf(queues []*Queue, q *Queue) int {
	for i := range queues {
		if queues[i] == q {
			return i
		}
	}
	return -1
}
