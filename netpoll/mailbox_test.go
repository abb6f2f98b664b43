package netpoll

import (
	"sync"
	"sync/atomic"
	"testing"

	"roost/hub"
)

func TestMailboxWakesForTheFirstItemOnly(t *testing.T) {
	t.Parallel()
	wakes := 0
	m := newMailbox(10, func() { wakes++ })
	c, n := new(conn), new(hub.Notification)
	m.push(c, n)
	m.push(c, n)
	m.post(c)
	if wakes != 1 {
		t.Fatalf("%d wake-ups for the first batch, want 1", wakes)
	}
	batch := m.take(nil)
	if len(batch) != 3 {
		t.Fatalf("took %d, want 3", len(batch))
	}
	m.push(c, n)
	if wakes != 1 {
		t.Fatal("woken while the consumer is known to look again")
	}
	batch = m.take(batch)
	if batch = m.take(batch); len(batch) != 0 {
		t.Fatalf("took %d from an empty mailbox", len(batch))
	}
	m.push(c, n)
	if wakes != 2 {
		t.Fatalf("%d wake-ups, want a second one after the mailbox was found empty", wakes)
	}
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
