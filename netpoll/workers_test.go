package netpoll

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"roost/netpoll/internal/iplimit"
	"roost/wsproto/auth"
)

// waits is a check of a source.
func waits(priority auth.Priority, of iplimit.Source) *job {
	return &job{source: of, priority: uint8(priority)}
}

// Known keys go first, then sources with few checks that came to nothing, then the newest.
func TestCheckQueueOrder(t *testing.T) {
	t.Parallel()
	q := newJobQueue()
	const junk, honest = 1, 100
	var pushed []*job
	push := func(priority auth.Priority, of iplimit.Source) {
		pushed = append(pushed, waits(priority, of))
		q.push(pushed[len(pushed)-1], time.Second)
	}
	push(auth.PriorityUnknown, honest) // 0
	push(auth.PriorityTried, honest+1) // 1
	push(auth.PriorityNamed, junk)     // 2: its first
	push(auth.PriorityNamed, junk)     // 3
	push(auth.PriorityNamed, junk)     // 4
	push(auth.PriorityNamed, honest+2) // 5
	push(auth.PriorityNamed, honest+3) // 6
	push(auth.PriorityTried, honest+4) // 7
	push(auth.PriorityTried, junk)     // 8: its fourth
	push(auth.PriorityUnknown, 2*junk) // 9
	push(auth.PriorityUnknown, honest) // 10: its second
	want := []int{6, 5, 2, 3, 4, 7, 1, 8, 9, 0, 10}
	if worst := q.worst(); worst != pushed[10] {
		t.Errorf("the worst is number %d", slices.Index(pushed, worst))
	}
	var got []int
	for k := q.pop(); k != nil; k = q.pop() {
		got = append(got, slices.Index(pushed, k))
	}
	if !slices.Equal(got, want) || q.waiting != 0 || q.worst() != nil {
		t.Errorf("the order is %v, want %v", got, want)
	}
}

// A client with a good token is never held back for its attempts, however many; failed attempts are forgotten in time.
func TestCheckQueueForgets(t *testing.T) {
	t.Parallel()
	q := newJobQueue()
	now := time.Minute
	rank := func(of iplimit.Source) uint8 {
		k := waits(auth.PriorityNamed, of)
		q.push(k, now)
		q.remove(k)
		return k.rank
	}
	for range 1000 {
		if rank(1) != 0 {
			t.Fatal("a NAT whose clients are all good is held back")
		}
		q.verified(1, 1, now)
	}
	for range 1000 {
		rank(2)
	}
	if before := rank(2); before < 9 {
		t.Errorf("a thousand that came to nothing make rank %d", before)
	}
	now += 60 * time.Second
	if after := rank(2); after != 0 {
		t.Errorf("a minute later it is rank %d", after)
	}
	for n := range 3 * unverifiedSources {
		rank(iplimit.Source(n))
		if len(q.unverified) > unverifiedSources {
			t.Fatalf("%d sources are remembered", len(q.unverified))
		}
	}
}

// The queue agrees with a model that sorts.
func TestCheckQueueAgainstAModel(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	q := newJobQueue()
	var model []*job // in the order in which they came
	best := func() *job {
		var best *job
		for _, k := range model {
			if best == nil || k.priority < best.priority || k.priority == best.priority && k.rank <= best.rank {
				best = k
			}
		}
		return best
	}
	worst := func() *job {
		var worst *job
		for _, k := range model {
			if worst == nil || k.priority > worst.priority || k.priority == worst.priority && k.rank > worst.rank {
				worst = k
			}
		}
		return worst
	}
	drop := func(k *job) { model = slices.DeleteFunc(model, func(other *job) bool { return other == k }) }
	now := time.Second
	for step := range 20_000 {
		now += time.Duration(r.IntN(int(time.Second / 50)))
		if got, want := q.worst(), worst(); got != want || q.waiting != len(model) {
			t.Fatalf("step %d: the worst is another one, or %d wait, want %d", step, q.waiting, len(model))
		}
		switch n := r.IntN(10); {
		case n < 5:
			k := waits(auth.Priority(r.IntN(auth.PriorityCount)), iplimit.Source(r.IntN(1+r.IntN(200))))
			q.push(k, now)
			model = append(model, k)
		case n < 8:
			want := best()
			if got := q.pop(); got != want {
				t.Fatalf("step %d: another one is next", step)
			}
			drop(want)
		case len(model) > 0:
			k := model[r.IntN(len(model))]
			q.remove(k)
			q.remove(k)
			drop(k)
		}
	}
}

func BenchmarkCheckQueue(b *testing.B) {
	q := newJobQueue()
	for n := range 8192 {
		q.push(waits(auth.PriorityTried, iplimit.Source(n)), time.Second)
	}
	k := waits(auth.PriorityNamed, 1)
	b.ReportAllocs()
	for b.Loop() {
		q.push(k, time.Second)
		q.pop()
		q.verified(1, 1, time.Second)
	}
}
