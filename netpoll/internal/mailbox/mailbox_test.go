package mailbox

import (
	"sync"
	"sync/atomic"
	"testing"
)

// item is what waits: one of a producer's, in order.
type item struct{ producer, number int }

func TestMailboxWakesOnceABatch(t *testing.T) {
	t.Parallel()
	wakes := 0
	m := New[item](2*Handoff, func() { wakes++ })
	push := func(times int) {
		for range times {
			m.Push(item{}, 0, true)
		}
	}
	expect := func(want, unannounced int, when string) {
		t.Helper()
		if wakes != want || m.Unannounced() != unannounced {
			t.Fatalf("%s: woken %d times, unannounced %d; want %d, %d", when, wakes, m.Unannounced(), want, unannounced)
		}
	}
	push(Handoff - 1)
	expect(0, Handoff-1, "a few items")
	m.Announce()
	m.Announce()
	expect(1, 0, "announced")
	push(Handoff)
	expect(1, 0, "more for a consumer that knows")
	batch := m.Take(nil)
	if len(batch) != 2*Handoff-1 {
		t.Fatalf("took %d, want %d", len(batch), 2*Handoff-1)
	}
	push(1)
	expect(1, 0, "one while the consumer is at work")
	batch = m.Take(batch)
	if batch = m.Take(batch); len(batch) != 0 {
		t.Fatalf("took %d from an empty mailbox", len(batch))
	}
	push(Handoff)
	expect(2, 0, "many after the mailbox was found empty")
}

// Many producers, a slow consumer: pushes wait, nothing is lost, and each
// producer's items keep their order.
func TestMailboxPushesBack(t *testing.T) {
	t.Parallel()
	const producers, each, limit = 4, 2000, 8
	woken := make(chan struct{}, 1)
	m := New[item](limit, func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				m.Push(item{p, i}, 2, true)
			}
			m.Announce() // the last few, which are too few to wake anybody
		})
	}
	var next [producers]int
	total := 0
	var batch []item
	for total < producers*each {
		if batch = m.Take(batch); len(batch) == 0 {
			<-woken
			continue
		}
		if len(batch) > limit {
			t.Fatalf("%d items waited, the limit is %d", len(batch), limit)
		}
		for _, d := range batch {
			if d.number != next[d.producer] {
				t.Fatalf("item %d came, want %d", d.number, next[d.producer])
			}
			next[d.producer]++
			total++
		}
	}
	wg.Wait()
	if _, pushed := m.Depth(); pushed != producers*each {
		t.Fatalf("counted %d pushes, want %d", pushed, producers*each)
	}
}

func TestMailboxCloseLetsWaitersGo(t *testing.T) {
	t.Parallel()
	m := New[item](1, func() {})
	m.Push(item{}, 0, true)
	var refused atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() { refused.Store(!m.Push(item{}, 0, true)) })
	m.Close()
	wg.Wait()
	if !refused.Load() || m.Push(item{}, 0, true) {
		t.Error("a closed mailbox took something in")
	}
	if got := len(m.Take(nil)); got != 1 {
		t.Errorf("%d items left to take, want the one from before", got)
	}
}

// Large notifications wait in bytes: the next one waits outside, and the consumer is
// told although there are few.
func TestMailboxIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	const pushes, size = 10, MaxBytes/4 + 1
	woken := make(chan struct{}, pushes)
	m := New[item](1000, func() { woken <- struct{}{} })
	var pushing sync.WaitGroup
	pushing.Go(func() {
		for range pushes {
			m.Push(item{}, size, true)
		}
		m.Announce()
	})
	for taken := 0; taken < pushes; {
		<-woken
		for batch := m.Take(nil); len(batch) > 0; batch = m.Take(nil) {
			if taken += len(batch); len(batch) > 4 {
				t.Fatalf("%d items of %d bytes waited", len(batch), size)
			}
		}
	}
	pushing.Wait()
}

// Items that do not count wait and come like all others.
func TestMailboxCounts(t *testing.T) {
	t.Parallel()
	m := New[item](4, func() {})
	m.Push(item{}, 0, true)
	m.Push(item{}, 0, false)
	if waiting, pushed := m.Depth(); waiting != 2 || pushed != 1 {
		t.Errorf("%d wait and %d count, want 2 and 1", waiting, pushed)
	}
}

// BenchmarkMailbox is one item in and out.
func BenchmarkMailbox(b *testing.B) {
	m := New[item](1<<20, func() {})
	var batch []item
	b.ReportAllocs()
	for b.Loop() {
		m.Push(item{}, 0, true)
		batch = m.Take(batch)
	}
}
