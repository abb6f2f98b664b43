package webhook

import (
	"crypto/rand"
	"time"
)

const (
	// maxBatch bounds how many events are in one request, and maxBody the bytes of its body: that of a single event may be longer.
	maxBatch = 1000
	maxBody  = 256 << 10
	// eventOverhead is what an event takes beside its bytes.
	eventOverhead = 48
)

// queue has the events that wait, encoded, the oldest first, and the batch under way. It is bounded in bytes, and so in events:
// none has fewer than a hundred. Its owner guards it.
type queue struct {
	limit  int // bytes
	bytes  int // of all that waits, the batch too
	events [][]byte
	first  int // index of the oldest in events: those before it are gone
	batch  *batch

	pushed int64 // events that were pushed, of which each so has a number; what was imported has those up to 0
	before int64 // number of the event before the batch under way
}

// batch is the body of one request. It stays as it is, however often it is sent; began is for the goroutine that sends.
type batch struct {
	id     string
	events int
	body   []byte
	began  time.Time // of the first attempt, whichever process made it; zero: there was none
}

func size(event []byte) int { return len(event) + eventOverhead }

func (b *batch) size() int {
	if b == nil {
		return 0
	}
	return len(b.body) - (b.events + 1) + b.events*eventOverhead // without brackets and commas, so that it is that of the events
}

// len is how many events wait.
func (q *queue) len() int {
	n := len(q.events) - q.first
	if q.batch != nil {
		n += q.batch.events
	}
	return n
}

// settled is the number up to which nothing waits any more.
func (q *queue) settled() int64 {
	if q.batch != nil {
		return q.before
	}
	return q.pushed - int64(len(q.events)-q.first)
}

// push adds an event, and returns how many of the oldest had to go for it. The batch under way stays.
func (q *queue) push(event []byte) (dropped int) {
	q.events = append(q.events, event)
	q.pushed++
	q.bytes += size(event)
	return q.shrink()
}

// shrink drops the oldest events until what waits is within the limit.
func (q *queue) shrink() (dropped int) {
	for q.bytes > q.limit && q.first < len(q.events) {
		q.bytes -= size(q.pop())
		dropped++
	}
	return dropped
}

func (q *queue) pop() []byte {
	event := q.events[q.first]
	q.events[q.first] = nil
	q.first++
	switch {
	case q.first == len(q.events):
		q.events, q.first = nil, 0
	case q.first > maxBatch && q.first > len(q.events)/2:
		q.events = append(make([][]byte, 0, len(q.events)), q.events[q.first:]...)
		q.first = 0
	}
	return event
}

// next returns the batch under way, or makes one of the oldest events; nil if none waits. It is under way until done.
func (q *queue) next() *batch {
	if q.batch != nil || q.first == len(q.events) {
		return q.batch
	}
	q.before = q.settled()
	b := &batch{id: "msg_" + rand.Text(), body: []byte{'['}}
	for q.first < len(q.events) && b.events < maxBatch {
		if b.events > 0 && len(b.body)+len(q.events[q.first]) > maxBody {
			break
		}
		event := q.pop()
		q.bytes -= size(event)
		if b.events > 0 {
			b.body = append(b.body, ',')
		}
		b.body = append(b.body, event...)
		b.events++
	}
	b.body = append(b.body, ']')
	q.batch = b
	q.bytes += b.size()
	return b
}

// done ends the batch under way.
func (q *queue) done() {
	q.bytes -= q.batch.size()
	q.batch = nil
}

// putFirst puts a batch and events before all others.
func (q *queue) putFirst(b *batch, events [][]byte) (dropped int) {
	q.events, q.first = append(events, q.events[q.first:]...), 0
	for _, event := range events {
		q.bytes += size(event)
	}
	if b != nil {
		q.before = q.settled() - int64(b.events)
		q.batch = b
		q.bytes += b.size()
	}
	return q.shrink()
}
