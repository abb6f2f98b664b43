package netpoll

import (
	"sync"
	"sync/atomic"

	"roost/hub"
)

// handoff is how many items make it worth while to wake the loop at once,
// rather than to write them where they come from at the end of the batch.
const handoff = 64

// mailboxBytes bounds the frames of the items that wait in a mailbox, a frame that
// several items share counted for each. One item always has room.
const mailboxBytes = 16 << 20

// keptItems bounds the room for items that a mailbox keeps once it is empty:
// after a burst the memory must go.
const keptItems = 1024

// delivery is one item of a loop's mailbox: a notification for a connection.
type delivery struct {
	c *conn
	n *hub.Notification
}

// mailbox is the way into a loop: many producers, one consumer.
//
// The consumer is woken when handoff items are there, or when somebody announces
// those that are, and not again until it has found the mailbox empty: whatever
// arrives while it works costs no wake-up. take swaps two slices, so that the
// lock is held for a moment only.
type mailbox struct {
	wake  func() // called without the lock
	limit int    // items that may wait before push does

	quiet atomic.Int32 // items that the consumer does not know of; written under mu

	mu      sync.Mutex
	room    sync.Cond  // on mu: take made room, or the mailbox closed
	items   []delivery // guarded by mu
	bytes   int        // guarded by mu: of their frames
	waiting int        // guarded by mu: how many pushes wait for room
	pushed  uint64     // guarded by mu: notifications ever taken in
	awake   bool       // guarded by mu: the consumer knows that there is work
	closed  bool       // guarded by mu
}

func newMailbox(limit int, wake func()) *mailbox {
	m := &mailbox{wake: wake, limit: limit}
	m.room.L = &m.mu
	return m
}

// push puts a notification in, and waits while the mailbox is full: this is how
// a slow loop pushes back on the feed. It reports false, and keeps nothing (but
// has counted it), once the mailbox is closed. Any goroutine but a loop's.
func (m *mailbox) push(c *conn, n *hub.Notification) bool {
	m.mu.Lock()
	for m.full() && !m.closed {
		m.waiting++
		m.room.Wait()
		m.waiting--
	}
	if !c.probe {
		m.pushed++
	}
	if m.closed {
		m.mu.Unlock()
		return false
	}
	m.items = append(m.items, delivery{c, n})
	m.bytes += len(n.Frame)
	wake := !m.awake && (len(m.items) >= handoff || m.full())
	m.awake = m.awake || wake
	m.quiet.Store(m.unknown())
	m.mu.Unlock()
	if wake {
		m.wake()
	}
	return true
}

// full reports whether the next push has to wait. The caller holds mu.
func (m *mailbox) full() bool { return len(m.items) >= m.limit || m.bytes >= mailboxBytes }

// unknown counts the items that the consumer does not know of. The caller holds
// mu.
func (m *mailbox) unknown() int32 {
	if m.awake {
		return 0
	}
	return int32(len(m.items))
}

// unannounced returns how many items the consumer does not know of. Any
// goroutine.
func (m *mailbox) unannounced() int { return int(m.quiet.Load()) }

// announce wakes the consumer if there are. Any goroutine.
func (m *mailbox) announce() {
	m.mu.Lock()
	wake := !m.awake && len(m.items) > 0
	m.awake = m.awake || wake
	m.quiet.Store(0)
	m.mu.Unlock()
	if wake {
		m.wake()
	}
}

// take hands over everything that waits and gets spare (emptied) to fill next.
// With nothing there the consumer counts as asleep again. The consumer only.
func (m *mailbox) take(spare []delivery) []delivery {
	if cap(spare) > keptItems {
		spare = nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	items := m.items
	m.items, m.bytes = spare[:0], 0
	m.awake = len(items) > 0
	m.quiet.Store(0)
	if m.waiting > 0 {
		m.room.Broadcast()
	}
	return items
}

// depth returns how many items wait, and how many notifications ever came.
func (m *mailbox) depth() (waiting int, pushed uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.items), m.pushed
}

// close turns away everything that comes from now on and lets waiting pushes
// go. What is in stays for take.
func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.room.Broadcast()
}
