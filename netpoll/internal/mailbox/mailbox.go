// Package mailbox is a queue from many producers to one consumer that sleeps: bounded,
// in items and in bytes, so that a full one pushes back on the producers; and sparing
// with wake-ups, since waking a thread costs more than most of what it is woken for.
package mailbox

import (
	"sync"
	"sync/atomic"
)

const (
	// Handoff is how many items make it worth while to wake the consumer at once, rather
	// than at the end of the producer's batch.
	Handoff = 64

	// MaxBytes bounds the bytes of the items that wait, bytes that several items share
	// counted for each. One item always has room.
	MaxBytes = 16 << 20

	// keptItems bounds the room for items that is kept once the mailbox is empty: after a
	// burst the memory must go.
	keptItems = 1024
)

// Mailbox is the queue.
//
// The consumer is woken when Handoff items are there, or when somebody announces
// those that are, and not again until it has found the mailbox empty: whatever
// arrives while it works costs no wake-up. Take swaps two slices, so that the
// lock is held for a moment only.
type Mailbox[T any] struct {
	wake  func() // called without the lock
	limit int    // items that may wait before Push does

	quiet atomic.Int32 // items that the consumer does not know of; written under mu

	mu      sync.Mutex
	room    sync.Cond // on mu: Take made room, or the mailbox closed
	items   []T       // guarded by mu
	bytes   int       // guarded by mu: of items
	waiting int       // guarded by mu: how many pushes wait for room
	pushed  uint64    // guarded by mu: counted items ever taken in
	awake   bool      // guarded by mu: the consumer knows that there is work
	closed  bool      // guarded by mu
}

// New makes a mailbox for limit items. wake wakes the consumer; the producers call it.
func New[T any](limit int, wake func()) *Mailbox[T] {
	m := &Mailbox[T]{wake: wake, limit: limit}
	m.room.L = &m.mu
	return m
}

// Push puts an item of so many bytes in, and waits while the mailbox is full: this is
// how a slow consumer pushes back. It reports false, and keeps nothing (but has counted
// the item, if that counts), once the mailbox is closed. Any goroutine but the consumer's.
func (m *Mailbox[T]) Push(item T, bytes int, counts bool) bool {
	m.mu.Lock()
	for m.full() && !m.closed {
		m.waiting++
		m.room.Wait()
		m.waiting--
	}
	if counts {
		m.pushed++
	}
	if m.closed {
		m.mu.Unlock()
		return false
	}
	m.items = append(m.items, item)
	m.bytes += bytes
	wake := !m.awake && (len(m.items) >= Handoff || m.full())
	m.awake = m.awake || wake
	m.quiet.Store(m.unknown())
	m.mu.Unlock()
	if wake {
		m.wake()
	}
	return true
}

// full reports whether the next Push has to wait. The caller holds mu.
func (m *Mailbox[T]) full() bool { return len(m.items) >= m.limit || m.bytes >= MaxBytes }

// unknown counts the items that the consumer does not know of. The caller holds mu.
func (m *Mailbox[T]) unknown() int32 {
	if m.awake {
		return 0
	}
	return int32(len(m.items))
}

// Unannounced returns how many items the consumer does not know of. Any goroutine.
func (m *Mailbox[T]) Unannounced() int { return int(m.quiet.Load()) }

// Announce wakes the consumer if there are any. Any goroutine.
func (m *Mailbox[T]) Announce() {
	m.mu.Lock()
	wake := !m.awake && len(m.items) > 0
	m.awake = m.awake || wake
	m.quiet.Store(0)
	m.mu.Unlock()
	if wake {
		m.wake()
	}
}

// Take hands over everything that waits and gets spare (emptied) to fill next.
// With nothing there the consumer counts as asleep again. The consumer only.
func (m *Mailbox[T]) Take(spare []T) []T {
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

// Depth returns how many items wait, and how many that count ever came. Any goroutine.
func (m *Mailbox[T]) Depth() (waiting int, pushed uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.items), m.pushed
}

// Close refuses everything that comes from now on and ends waiting pushes. Items
// that are in the mailbox stay for Take. Any goroutine.
func (m *Mailbox[T]) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.room.Broadcast()
}
