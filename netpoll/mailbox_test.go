package netpoll

import (
	"sync"
	"sync/atomic"
	"testing"

	"roost/hub"
)

func TestMailboxWakesOnceABatch(t *testing.T) {
	t.Parallel()
	wakes := 0
	m := newMailbox(2*handoff, func() { wakes++ })
	c, n := new(conn), new(hub.Notification)
	push := func(times int) {
		for range times {
			m.push(c, n)
		}
	}
	expect := func(want, unannounced int, when string) {
		t.Helper()
		if wakes != want || m.unannounced() != unannounced {
			t.Fatalf("%s: woken %d times, unannounced %d; want %d, %d", when, wakes, m.unannounced(), want, unannounced)
		}
	}
	push(handoff - 1)
	expect(0, handoff-1, "a few items")
	m.announce()
	m.announce()
	expect(1, 0, "announced")
	push(handoff)
	expect(1, 0, "more for a consumer that knows")
	batch := m.take(nil)
	if len(batch) != 2*handoff-1 {
		t.Fatalf("took %d, want %d", len(batch), 2*handoff-1)
	}
	push(1)
	expect(1, 0, "one while the consumer is at work")
	batch = m.take(batch)
	if batch = m.take(batch); len(batch) != 0 {
		t.Fatalf("took %d from an empty mailbox", len(batch))
	}
	push(handoff)
	expect(2, 0, "many after the mailbox was found empty")
}

// Many producers, a slow consumer: pushes wait, nothing is lost, and each
// producer's items keep their order.
func TestMailboxPushesBack(t *testing.T) {
	t.Parallel()
	const producers, each, limit = 4, 2000, 8
	woken := make(chan struct{}, 1)
	m := newMailbox(limit, func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	conns := make([]conn, producers)
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				m.push(&conns[p], &hub.Notification{Frame: []byte{byte(i), byte(i >> 8)}})
			}
			m.announce() // the last few, which are too few to wake anybody
		})
	}
	next := map[*conn]int{}
	total := 0
	var batch []delivery
	for total < producers*each {
		if batch = m.take(batch); len(batch) == 0 {
			<-woken
			continue
		}
		if len(batch) > limit {
			t.Fatalf("%d items waited, the limit is %d", len(batch), limit)
		}
		for _, d := range batch {
			if got := int(d.n.Frame[0]) | int(d.n.Frame[1])<<8; got != next[d.c] {
				t.Fatalf("item %d came, want %d", got, next[d.c])
			}
			next[d.c]++
			total++
		}
	}
	wg.Wait()
	if _, pushed := m.depth(); pushed != producers*each {
		t.Fatalf("counted %d pushes, want %d", pushed, producers*each)
	}
}

func TestMailboxCloseLetsWaitersGo(t *testing.T) {
	t.Parallel()
	m := newMailbox(1, func() {})
	c := new(conn)
	m.push(c, new(hub.Notification))
	var refused atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() { refused.Store(!m.push(c, new(hub.Notification))) })
	m.close()
	wg.Wait()
	if !refused.Load() || m.push(c, new(hub.Notification)) {
		t.Error("a closed mailbox took something in")
	}
	if got := len(m.take(nil)); got != 1 {
		t.Errorf("%d items left to take, want the one from before", got)
	}
}

// Large notifications wait in bytes: the next one waits outside, and the consumer is
// told although there are few.
func TestMailboxIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	const pushes = 10
	woken := make(chan struct{}, pushes)
	m := newMailbox(1000, func() { woken <- struct{}{} })
	c, n := new(conn), &hub.Notification{Frame: make([]byte, mailboxBytes/4+1)}
	var pushing sync.WaitGroup
	pushing.Go(func() {
		for range pushes {
			m.push(c, n)
		}
		m.announce()
	})
	for taken := 0; taken < pushes; {
		<-woken
		for batch := m.take(nil); len(batch) > 0; batch = m.take(nil) {
			if taken += len(batch); len(batch) > 4 {
				t.Fatalf("%d items of %d bytes waited", len(batch), len(n.Frame))
			}
		}
	}
	pushing.Wait()
}
