package fairqueue

import (
	"time"

	"roost/internal/list"
)

// flow is what waits for one group, or for everyone.
type flow[T any] struct {
	name    string
	waiting fifo[T]
	bytes   int // that those which wait are charged: the flow's weight in the heap

	head entry[T] // under way
	busy bool     // there is one

	lost  time.Time // since when items were dropped that no notice tells of; zero: none
	told  time.Time // the last notice; zero: none
	rests time.Time // while it is in Queue.resting: since when
	idle  bool      // counted in Queue.idle

	place int                // in the heap
	turn  list.Node[flow[T]] // in one of Queue.classes, or in Queue.resting
}

// entry is an item, or a notice.
type entry[T any] struct {
	item   T
	charge int
	since  time.Time
	notice bool
}

// class is where a flow waits for its turn: a group's where it says.
func (f *flow[T]) class(group int) int {
	if f.name == Everyone {
		return classEveryone
	}
	return group
}

// lose notes that an item was dropped.
func (f *flow[T]) lose(since time.Time) {
	if f.lost.IsZero() || since.Before(f.lost) {
		f.lost = since
	}
}

// fifo is a queue of entries. Its zero value is empty.
type fifo[T any] struct {
	entries []entry[T]
	first   int // those before it are gone
}

func (q *fifo[T]) len() int { return len(q.entries) - q.first }

// oldest is since of the first of them. There has to be one.
func (q *fifo[T]) oldest() time.Time { return q.entries[q.first].since }

func (q *fifo[T]) push(e entry[T]) {
	if q.first > len(q.entries)/2 && len(q.entries) == cap(q.entries) {
		n := copy(q.entries, q.entries[q.first:])
		clear(q.entries[n:])
		q.entries, q.first = q.entries[:n], 0
	}
	q.entries = append(q.entries, e)
}

func (q *fifo[T]) pop() entry[T] {
	e := q.entries[q.first]
	q.entries[q.first] = entry[T]{}
	if q.first++; q.first == len(q.entries) {
		q.entries, q.first = q.entries[:0], 0
	}
	return e
}

func (q *fifo[T]) appendTo(dst []T) []T {
	for _, e := range q.entries[q.first:] {
		dst = append(dst, e.item)
	}
	return dst
}
