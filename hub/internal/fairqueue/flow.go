package fairqueue

import "time"

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

	place      int // in the heap
	in         *list[T]
	prev, next *flow[T]
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

// list is flows in the order of their turns. Its zero value is empty. A flow is in one list at most.
type list[T any] struct {
	first, last *flow[T]
}

func (l *list[T]) push(f *flow[T]) {
	f.in, f.prev, f.next = l, l.last, nil
	if l.last == nil {
		l.first = f
	} else {
		l.last.next = f
	}
	l.last = f
}

// pop takes the first flow out; nil if there is none.
func (l *list[T]) pop() *flow[T] {
	f := l.first
	if f != nil {
		l.remove(f)
	}
	return f
}

// remove takes a flow out of l, which may be nil: of a flow that is in no list.
func (l *list[T]) remove(f *flow[T]) {
	if l == nil {
		return
	}
	if f.prev == nil {
		l.first = f.next
	} else {
		f.prev.next = f.next
	}
	if f.next == nil {
		l.last = f.prev
	} else {
		f.next.prev = f.prev
	}
	f.in, f.prev, f.next = nil, nil, nil
}
