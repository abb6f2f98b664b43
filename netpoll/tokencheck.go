package netpoll

import (
	"bytes"
	"math"
	"math/bits"
	"runtime/debug"
	"sync"
	"time"

	"roost/wsproto"
)

// check is a handshake whose token a worker looks at, because that takes longer
// than a loop may. The connection has it in its handshake until the answer is there.
type check struct {
	c      *conn  // static; what it points to is the loop's
	source source // static

	// Guarded by the checkers' lock.
	queued     bool
	rank       uint8
	next, prev *check

	asked // of it the worker reads the request
}

// checkers are the workers that check tokens: as many as Config.Checkers, and a
// queue of Config.CheckQueue in front of them.
type checkers struct {
	work sync.WaitGroup

	mu      sync.Mutex
	ready   sync.Cond  // on mu: a check waits, or they are to stop
	queue   checkQueue // guarded by mu
	stopped bool       // guarded by mu
}

// startCheckers starts the workers.
func (s *Server) startCheckers() {
	s.checkers.ready.L = &s.checkers.mu
	s.checkers.queue = newCheckQueue()
	for range s.cfg.Checkers {
		s.checkers.work.Go(s.checkTokens)
	}
}

// stopCheckers ends the workers. Queued checks are discarded.
func (s *Server) stopCheckers() {
	w := &s.checkers
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.ready.Broadcast()
	w.work.Wait()
}

// put hands a check over. Where more than limit wait, the one that would have to wait longest
// is taken out and returned; it may be this one. It never waits.
func (w *checkers) put(k *check, limit int, now time.Duration) (out *check) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.push(k, now)
	if w.queue.waiting > limit {
		out = w.queue.worst()
		w.queue.remove(out)
	}
	w.ready.Signal()
	return out
}

// next waits for a check, and returns it; nil when the workers are to stop.
func (w *checkers) next() *check {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if w.stopped {
			return nil
		}
		if k := w.queue.pop(); k != nil {
			return k
		}
		w.ready.Wait()
	}
}

// forget takes a check out that nobody waits for any more.
func (w *checkers) forget(k *check) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.remove(k)
}

// proven says that a source's check has found a good token.
func (w *checkers) proven(of source, now time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.proven(of, now)
}

// checkTokens is a worker's goroutine.
func (s *Server) checkTokens() {
	for {
		k := s.checkers.next()
		if k == nil {
			return
		}
		s.checkToken(k)
	}
}

// checkToken checks one token and sends the answer to the connection's loop.
func (s *Server) checkToken(k *check) {
	l := k.c.loop
	defer func() {
		if problem := recover(); problem != nil {
			l.stats.panics.Add(1)
			s.log.Error("checking a token failed; the connection is closed", "panic", problem, "stack", string(debug.Stack()))
			l.do(func() { l.drop(k.c, ReasonPanic) })
		}
	}()
	req := k.req
	refusal := s.gate().Check(&req, s.cfg.Now())
	if refusal == nil {
		s.checkers.proven(k.source, s.now())
	}
	l.do(func() { l.checked(k, req, refusal) })
}

// checkLater hands a connection's token to the workers. It waits for them for
// Config.CheckWait, and within the handshake deadline.
func (l *loop) checkLater(c *conn, req wsproto.Request, more []byte) {
	switch {
	case l.server.draining.Load():
		l.reject(c, req, wsproto.RefuseDraining(l.server.retryAfter()))
		return
	case len(more) > maxEarly:
		l.reject(c, req, wsproto.RefuseEarly())
		return
	}
	req.Detach()
	k := &check{c: c, source: c.part.hs.source, asked: asked{req: req, early: bytes.Clone(more)}}
	c.part.hs.check = k
	l.stayPending(c, stateChecking, strangersPlace)
	l.stats.checking.Add(1)
	l.at(c, min(l.server.now()+l.server.cfg.CheckWait, l.server.moment(l.wheel.At(c))))
	if out := l.server.checkers.put(k, l.server.cfg.CheckQueue, l.server.now()); out != nil {
		out.c.loop.giveUpCheck(l, out)
	}
	if c.state == stateChecking {
		l.keep(c, k.size())
	}
}

// giveUpCheck ends a handshake whose token will not be checked. from is the loop that says so.
func (l *loop) giveUpCheck(from *loop, k *check) {
	if l == from {
		l.checkTooLate(k.c)
		return
	}
	l.do(func() {
		defer l.guard(k.c)
		if k.c.state == stateChecking {
			l.checkTooLate(k.c)
		}
	})
}

// checked goes on with a handshake whose token was checked. req is the request
// with who asks; the connection may have ended meanwhile.
func (l *loop) checked(k *check, req wsproto.Request, refusal *wsproto.Refusal) {
	if k.c.state != stateChecking {
		return
	}
	defer l.guard(k.c)
	l.identified(k.c, req, refusal, k.early)
}

// checkTooLate ends a handshake whose token has not been checked in time.
func (l *loop) checkTooLate(c *conn) {
	l.reject(c, c.part.hs.check.req, wsproto.RefuseChecksFull(l.server.retryAfter()))
}

// checkQueue is the checks that wait for a worker. Who has a right to come in must not
// wait behind those who only try: so tokens that name a key that is known go first,
// then those of the sources with the fewest checks of late that came to nothing, and of
// these the newest. Who waits behind all others would wait in vain anyway; it is also
// the one who goes when there are too many. Guarded by the checkers' lock. Make it with
// newCheckQueue.
type checkQueue struct {
	lists    [wsproto.TurnCount][unprovenRanks]checkList
	waiting  int
	unproven map[source]unproven
}

// checkList is a list of checks, the newest last.
type checkList struct{ first, last *check }

const (
	// unprovenRanks is into how many ranks sources go by their checks that came to nothing,
	// each for twice as many as the one before.
	unprovenRanks = 16
	// unprovenHalf is after what time half of these are forgotten.
	unprovenHalf = 4 * time.Second
	// unprovenSources bounds the sources that are remembered. Beyond it all are forgotten:
	// then the newest go first.
	unprovenSources = 16 << 10
)

// unproven is how many checks a source has asked for that have not found a good token, or
// not yet.
type unproven struct {
	n  float32
	at instant
}

func newCheckQueue() checkQueue { return checkQueue{unproven: make(map[source]unproven)} }

// push puts a check in, and counts it against its source.
func (q *checkQueue) push(k *check, now time.Duration) {
	n := q.unprovenOf(k.source, now)
	q.setUnproven(k.source, n+1, now)
	k.rank = uint8(min(bits.Len(uint(n)), unprovenRanks-1))
	q.list(k).append(k)
	k.queued = true
	q.waiting++
}

// pop takes the check out whose turn it is; nil if none waits.
func (q *checkQueue) pop() *check {
	for turn := range q.lists {
		for rank := range q.lists[turn] {
			if k := q.lists[turn][rank].last; k != nil {
				q.remove(k)
				return k
			}
		}
	}
	return nil
}

// worst returns the check that waits behind all others, nil if none waits.
func (q *checkQueue) worst() *check {
	for turn := len(q.lists) - 1; turn >= 0; turn-- {
		for rank := unprovenRanks - 1; rank >= 0; rank-- {
			if k := q.lists[turn][rank].first; k != nil {
				return k
			}
		}
	}
	return nil
}

// remove takes a check out; one that is not in does no harm.
func (q *checkQueue) remove(k *check) {
	if k.queued {
		q.list(k).remove(k)
		k.queued = false
		q.waiting--
	}
}

// proven says that a source's check has found a good token.
func (q *checkQueue) proven(of source, now time.Duration) {
	q.setUnproven(of, q.unprovenOf(of, now)-1, now)
}

func (q *checkQueue) unprovenOf(of source, now time.Duration) float32 {
	u, ok := q.unproven[of]
	if !ok {
		return 0
	}
	return u.n * float32(math.Exp2(-u.at.ago(now).Seconds()/unprovenHalf.Seconds()))
}

func (q *checkQueue) setUnproven(of source, n float32, now time.Duration) {
	if n < 0.5 {
		delete(q.unproven, of)
		return
	}
	if len(q.unproven) >= unprovenSources {
		q.unproven = make(map[source]unproven)
	}
	q.unproven[of] = unproven{n, instantOf(now)}
}

func (q *checkQueue) list(k *check) *checkList { return &q.lists[k.req.Turn][k.rank] }

func (l *checkList) append(k *check) {
	k.prev = l.last
	if l.last == nil {
		l.first = k
	} else {
		l.last.next = k
	}
	l.last = k
}

func (l *checkList) remove(k *check) {
	if k.prev == nil {
		l.first = k.next
	} else {
		k.prev.next = k.next
	}
	if k.next == nil {
		l.last = k.prev
	} else {
		k.next.prev = k.prev
	}
	k.next, k.prev = nil, nil
}
