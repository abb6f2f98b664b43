package hub

import (
	"sync"
	"time"

	"roost/hub/internal/fairqueue"
)

// broadcastQueue is the way from the feed to the goroutine of RunBroadcasts. Any goroutine, but next and done, which are
// for that one.
type broadcastQueue struct {
	mu      sync.Mutex
	change  sync.Cond                    // on mu: something was put in, or the queue was closed
	queue   *fairqueue.Queue[*broadcast] // guarded by mu
	dropped []droppedBroadcast           // guarded by mu: by the put under way
	closed  bool                         // guarded by mu: nothing is put in any more
	begun   bool                         // guarded by mu: RunBroadcasts was called
	waits   bool                         // guarded by mu: its goroutine waits in next
	held    bool                         // guarded by mu: nothing begins
	left    bool                         // guarded by mu: another process delivers what waits
}

// droppedBroadcast is one that had no room.
type droppedBroadcast struct {
	b   *broadcast
	why dropReason
}

// init makes the queue, for which limit has to be called before put. notices says whether those who miss something are told.
func (q *broadcastQueue) init(notices bool) {
	q.change.L = &q.mu
	cfg := fairqueue.Config[*broadcast]{
		Items: maxBroadcasts, Quantum: broadcastChunk,
		Dropped: func(b *broadcast, why fairqueue.Reason) {
			q.dropped = append(q.dropped, droppedBroadcast{b, dropReason(why)})
		},
	}
	if notices {
		cfg.NoticeEvery = gapNoticeEvery
		cfg.Notice = func(group string, since time.Time) *broadcast { return &broadcast{group: group, lost: since} }
	}
	q.queue = fairqueue.New(cfg)
}

// limit sets how many bytes may wait, for what comes from now on.
func (q *broadcastQueue) limit(bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue.Limit(bytes/broadcastShare, bytes)
}

// put puts one in that was published at a time or later, and returns those that were dropped for it. taken is false once
// the queue is closed.
func (q *broadcastQueue) put(b *broadcast, since time.Time) (dropped []droppedBroadcast, taken bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, false
	}
	q.queue.Put(b.group, b, len(b.frame), since, time.Now())
	q.change.Signal()
	dropped, q.dropped = q.dropped, nil
	return dropped, true
}

// next waits for something to do, whose turn it is until done. It is nil when the queue is closed and empty, and when
// another process delivers what waits.
func (q *broadcastQueue) next() *broadcast {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.begun = true
	for {
		if q.left {
			return nil
		}
		if q.closed {
			q.queue.Flush() // no notice waits for its time any more
		}
		if b, ok := q.queue.Next(time.Now()); ok {
			return b
		}
		if q.closed && !q.held {
			return nil
		}
		q.waits = true
		q.wait()
		q.waits = false
	}
}

// hold lets those that have begun end, and no other begin.
func (q *broadcastQueue) hold() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held = true
	q.queue.Hold()
	q.change.Signal()
}

// allEnded reports whether no broadcast is under way, while hold keeps new ones from beginning.
func (q *broadcastQueue) allEnded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held && (q.waits || !q.begun) && q.queue.Begun() == 0
}

// unhold ends hold.
func (q *broadcastQueue) unhold() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held = false
	q.queue.Unhold()
	q.change.Signal()
}

// leave ends the goroutine of RunBroadcasts, and takes nothing any more.
func (q *broadcastQueue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.left = true, true
	q.change.Signal()
}

// wait waits for a change, or until a notice is due. The caller holds mu.
func (q *broadcastQueue) wait() {
	if due, ok := q.queue.Due(); ok {
		timer := time.AfterFunc(time.Until(due), func() {
			q.mu.Lock() // or it could come before the wait
			defer q.mu.Unlock()
			q.change.Signal()
		})
		defer timer.Stop()
	}
	q.change.Wait()
}

// done ends a turn in which something was delivered to so many connections. idle says that nothing is left to do now.
func (q *broadcastQueue) done(finished bool, connections int) (idle bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue.Done(finished, connections, time.Now())
	return !q.queue.Busy()
}

// waiting counts those that are not done.
func (q *broadcastQueue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.queue.Len()
}

// waitingFor returns those that are not done for a group, the oldest first, and perhaps one that was done a moment ago; and since when
// some were dropped of which no notice tells yet.
func (q *broadcastQueue) waitingFor(group string) (waiting []*broadcast, lost time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.queue.AppendWaiting(nil, group), q.queue.Lost(group)
}

// bytes is how much they are charged.
func (q *broadcastQueue) bytes() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.queue.Bytes()
}

// close refuses everything that comes from now on. Waiting broadcasts stay for next, and so do notices that are not due yet.
func (q *broadcastQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.change.Signal()
}
