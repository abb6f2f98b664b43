package hub

import (
	"slices"
	"sync"
	"time"
)

// maxBroadcasts bounds the broadcasts that wait for their turn. One more makes the feed wait.
const maxBroadcasts = 64

// broadcast is one notification for everyone, or for a group. It does not change.
type broadcast struct {
	everyone bool
	group    string // where it is not for everyone

	frame []byte
	kind  string        // the type, for traces: a JSON string
	size  int           // for traces: bytes as it was published
	taken time.Duration // by Hub.Clock
	after int64         // as in Notification
}

// broadcastQueue is the way from the feed to the goroutine of RunBroadcasts. Any goroutine, but next.
type broadcastQueue struct {
	mu     sync.Mutex
	change sync.Cond   // on mu: of any of the following
	items  []broadcast // guarded by mu
	atWork bool        // guarded by mu: what next returned last is under way
	closed bool        // guarded by mu: nothing is put in any more
}

func (q *broadcastQueue) init() { q.change.L = &q.mu }

// put puts one in, and waits while the queue is full. It reports false, and keeps nothing, once the queue is closed.
func (q *broadcastQueue) put(b broadcast) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) >= maxBroadcasts && !q.closed {
		q.change.Wait()
	}
	if q.closed {
		return false
	}
	q.items = append(q.items, b)
	q.change.Broadcast()
	return true
}

// next waits for the next one; the one before is done. It is false when the queue is closed and empty.
func (q *broadcastQueue) next() (b broadcast, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.atWork = false; len(q.items) == 0; q.change.Wait() {
		if q.closed {
			return broadcast{}, false
		}
	}
	b = q.items[0]
	q.items = slices.Delete(q.items, 0, 1)
	q.atWork = true
	q.change.Broadcast()
	return b, true
}

// waiting counts those that are not done.
func (q *broadcastQueue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.atWork {
		return len(q.items) + 1
	}
	return len(q.items)
}

// close turns away what comes from now on, and lets a waiting put go. What is in stays for next.
func (q *broadcastQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.change.Broadcast()
}
