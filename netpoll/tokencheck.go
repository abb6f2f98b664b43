package netpoll

import (
	"bytes"
	"math"
	"math/bits"
	"runtime/debug"
	"sync"
	"time"

	"roost/wsproto/auth"
	"roost/wsproto/handshake"
)

// authJob is a handshake whose token a worker looks at, because that takes longer
// than a loop may. The connection has it in its handshake until the answer is there.
type authJob struct {
	c      *conn  // static; what it points to is the loop's
	source source // static

	// Guarded by the checkers' lock.
	queued     bool
	rank       uint8
	next, prev *authJob

	heldRequest // of it the worker reads the request
}

// authWorkers are the workers that check tokens: as many as Config.Checkers, and a
// queue of Config.CheckQueue in front of them.
type authWorkers struct {
	work sync.WaitGroup

	mu      sync.Mutex
	ready   sync.Cond // on mu: a check waits, or they are to stop
	queue   authQueue // guarded by mu
	stopped bool      // guarded by mu
}

// startAuthWorkers starts the workers.
func (s *Server) startAuthWorkers() {
	s.auth.ready.L = &s.auth.mu
	s.auth.queue = newAuthQueue()
	for range s.cfg.Checkers {
		s.auth.work.Go(s.runAuthWorker)
	}
}

// stopAuthWorkers ends the workers. Queued checks are discarded.
func (s *Server) stopAuthWorkers() {
	w := &s.auth
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.ready.Broadcast()
	w.work.Wait()
}

// put hands a check over. Where more than limit wait, the one that would have to wait longest
// is taken out and returned; it may be this one. It never waits.
func (w *authWorkers) put(k *authJob, limit int, now time.Duration) (out *authJob) {
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
func (w *authWorkers) next() *authJob {
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

// remove takes a check out that nobody waits for any more.
func (w *authWorkers) remove(k *authJob) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.remove(k)
}

// verified says that a source's check has found a good token.
func (w *authWorkers) verified(of source, now time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.verified(of, now)
}

// runAuthWorker is a worker's goroutine.
func (s *Server) runAuthWorker() {
	for {
		k := s.auth.next()
		if k == nil {
			return
		}
		s.authenticate(k)
	}
}

// authenticate checks one token and sends the answer to the connection's loop.
func (s *Server) authenticate(k *authJob) {
	l := k.c.loop
	defer func() {
		if problem := recover(); problem != nil {
			l.stats.panics.Add(1)
			s.log.Error("checking a token failed; the connection is closed", "panic", problem, "stack", string(debug.Stack()))
			l.do(func() { k.c.closeNow(ReasonPanic) })
		}
	}()
	req := k.req
	refusal := s.upgrader().Check(&req, s.cfg.Now())
	if refusal == nil {
		s.auth.verified(k.source, s.now())
	}
	l.do(func() { l.authenticatedAsync(k, req, refusal) })
}

// authenticateAsync hands a connection's token to the workers. It waits for them for
// Config.CheckWait, and within the handshake deadline.
func (c *conn) authenticateAsync(req handshake.Request, more []byte) {
	l := c.loop
	switch {
	case l.server.draining.Load():
		c.respondError(req, handshake.RefuseDraining(l.server.retryAfter()))
		return
	case len(more) > maxEarly:
		c.respondError(req, handshake.RefuseEarly())
		return
	}
	req.Detach()
	k := &authJob{c: c, source: c.extra.hs.source, heldRequest: heldRequest{req: req, early: bytes.Clone(more)}}
	c.extra.hs.authJob = k
	c.setHandshakeState(stateAuthenticating, unknownWeight)
	l.stats.authenticating.Add(1)
	c.setTimer(min(l.server.now()+l.server.cfg.CheckWait, l.server.moment(l.wheel.At(c))))
	if out := l.server.auth.put(k, l.server.cfg.CheckQueue, l.server.now()); out != nil {
		out.c.loop.cancelAuth(l, out)
	}
	if c.state == stateAuthenticating {
		c.growBytes(k.size())
	}
}

// cancelAuth ends a handshake whose token will not be checked. from is the loop that says so.
func (l *loop) cancelAuth(from *loop, k *authJob) {
	if l == from {
		k.c.authTimeout()
		return
	}
	l.do(func() {
		defer k.c.guard()
		if k.c.state == stateAuthenticating {
			k.c.authTimeout()
		}
	})
}

// authenticatedAsync goes on with a handshake whose token was checked. req is the request
// with who asks; the connection may have ended meanwhile.
func (l *loop) authenticatedAsync(k *authJob, req handshake.Request, refusal *handshake.Refusal) {
	if k.c.state != stateAuthenticating {
		return
	}
	defer k.c.guard()
	k.c.authenticated(req, refusal, k.early)
}

// authTimeout ends a handshake whose token has not been checked in time.
func (c *conn) authTimeout() {
	c.respondError(c.extra.hs.authJob.req, handshake.RefuseChecksFull(c.loop.server.retryAfter()))
}

// authQueue is the checks that wait for a worker. Who has a right to come in must not
// wait behind those who only try: so tokens that name a key that is known go first,
// then those of the sources with the fewest checks of late that came to nothing, and of
// these the newest. Who waits behind all others would wait in vain anyway; it is also
// the one who goes when there are too many. Guarded by the checkers' lock. Make it with
// newCheckQueue.
type authQueue struct {
	lists      [auth.TurnCount][unverifiedRanks]authList
	waiting    int
	unverified map[source]unverified
}

// authList is a list of checks, the newest last.
type authList struct{ first, last *authJob }

const (
	// unverifiedRanks is into how many ranks sources go by their checks that came to nothing,
	// each for twice as many as the one before.
	unverifiedRanks = 16
	// unverifiedHalfLife is after what time half of these are forgotten.
	unverifiedHalfLife = 4 * time.Second
	// unverifiedSources bounds the sources that are remembered. Beyond it all are forgotten:
	// then the newest go first.
	unverifiedSources = 16 << 10
)

// unverified is how many checks a source has asked for that have not found a good token, or
// not yet.
type unverified struct {
	n  float32
	at instant
}

func newAuthQueue() authQueue { return authQueue{unverified: make(map[source]unverified)} }

// push puts a check in, and counts it against its source.
func (q *authQueue) push(k *authJob, now time.Duration) {
	n := q.unverifiedOf(k.source, now)
	q.setUnverified(k.source, n+1, now)
	k.rank = uint8(min(bits.Len(uint(n)), unverifiedRanks-1))
	q.list(k).append(k)
	k.queued = true
	q.waiting++
}

// pop takes the check out whose turn it is; nil if none waits.
func (q *authQueue) pop() *authJob {
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
func (q *authQueue) worst() *authJob {
	for turn := len(q.lists) - 1; turn >= 0; turn-- {
		for rank := unverifiedRanks - 1; rank >= 0; rank-- {
			if k := q.lists[turn][rank].first; k != nil {
				return k
			}
		}
	}
	return nil
}

// remove takes a check out; one that is not in does no harm.
func (q *authQueue) remove(k *authJob) {
	if k.queued {
		q.list(k).remove(k)
		k.queued = false
		q.waiting--
	}
}

// verified says that a source's check has found a good token.
func (q *authQueue) verified(of source, now time.Duration) {
	q.setUnverified(of, q.unverifiedOf(of, now)-1, now)
}

func (q *authQueue) unverifiedOf(of source, now time.Duration) float32 {
	u, ok := q.unverified[of]
	if !ok {
		return 0
	}
	return u.n * float32(math.Exp2(-u.at.ago(now).Seconds()/unverifiedHalfLife.Seconds()))
}

func (q *authQueue) setUnverified(of source, n float32, now time.Duration) {
	if n < 0.5 {
		delete(q.unverified, of)
		return
	}
	if len(q.unverified) >= unverifiedSources {
		q.unverified = make(map[source]unverified)
	}
	q.unverified[of] = unverified{n, instantOf(now)}
}

func (q *authQueue) list(k *authJob) *authList { return &q.lists[k.req.Turn][k.rank] }

func (l *authList) append(k *authJob) {
	k.prev = l.last
	if l.last == nil {
		l.first = k
	} else {
		l.last.next = k
	}
	l.last = k
}

func (l *authList) remove(k *authJob) {
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
