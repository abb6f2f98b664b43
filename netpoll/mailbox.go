package netpoll

import (
	"sync"

	"roost/hub"
)

// delivery is one item of a loop's queue: a notification for a connection, or,
// with n nil, the news that the connection's socket can be written to again.
type delivery struct {
	c *conn
	n *hub.Notification
}

// mailbox is the way into a loop: many producers, one consumer.
//
// The consumer is woken when the first item comes, and not again until it has
// found the mailbox empty: whatever arrives while it works costs no wake-up.
// take swaps two slices, so that the lock is held for a moment only.
type mailbox struct {
	wake  func() // called without the lock, by whoever put the first item in
	limit int    // notifications that may wait before push does

	mu      sync.Mutex
	room    sync.Cond  // on mu: take made room, or the mailbox closed
	items   []delivery // guarded by mu
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
	for len(m.items) >= m.limit && !m.closed {
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
	m.put(delivery{c, n})
	return true
}

// post puts in that c can be written to again. It never waits. Any goroutine.
func (m *mailbox) post(c *conn) {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return
	}
	m.put(delivery{c: c})
}

// put appends and wakes if that is due. It is called with mu held and lets go.
func (m *mailbox) put(d delivery) {
	m.items = append(m.items, d)
	wake := !m.awake
	m.awake = true
	m.mu.Unlock()
	if wake {
		m.wake()
	}
}

// take hands over everything that waits and gets spare (emptied) to fill next.
// With nothing there the consumer counts as asleep again. The consumer only.
func (m *mailbox) take(spare []delivery) []delivery {
	m.mu.Lock()
	defer m.mu.Unlock()
	items := m.items
	m.items = spare[:0]
	m.awake = len(items) > 0
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
