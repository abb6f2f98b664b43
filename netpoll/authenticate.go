package netpoll

import (
	"bytes"
	"math"
	"math/bits"
	"runtime/debug"
	"sync"
	"time"

	"roost/internal/list"
	"roost/netpoll/internal/iplimit"
	"roost/wsproto/auth"
	"roost/wsproto/handshake"
)

// authJob is a token that a worker checks, because that takes longer than a loop may.
type authJob struct {
	c      *conn          // static; what it points to is the loop's
	source iplimit.Source // static

	// Guarded by authWorkers.mu.
	rank uint8
	node list.Node[authJob] // in one of authQueue.lists, while the job waits

	heldRequest // the worker reads its request
}

// authWorkers are the goroutines that check tokens, Config.AuthWorkers of them, and the queue of Config.AuthQueue jobs
// before them.
type authWorkers struct {
	work sync.WaitGroup

	mu      sync.Mutex
	ready   sync.Cond // on mu: a job waits, or the workers are to stop
	queue   authQueue // guarded by mu
	stopped bool      // guarded by mu
}

// startAuthWorkers starts the workers.
func (s *Server) startAuthWorkers() {
	s.auth.ready.L = &s.auth.mu
	s.auth.queue = newAuthQueue()
	for range s.cfg.AuthWorkers {
		s.auth.work.Go(func() {
			for job := s.auth.next(); job != nil; job = s.auth.next() {
				s.runAuthJob(job)
			}
		})
	}
}

// stop ends the workers. Queued jobs are discarded.
func (w *authWorkers) stop() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.ready.Broadcast()
	w.work.Wait()
}

// put queues a job. If more than limit wait, the one that would wait longest is taken out and returned; it may be this
// one. put does not block.
func (w *authWorkers) put(job *authJob, limit int, now time.Duration) (out *authJob) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.push(job, now)
	if w.queue.waiting > limit {
		out = w.queue.worst()
		w.queue.remove(out)
	}
	w.ready.Signal()
	return out
}

// next waits for a job, and returns it; nil when the workers are to stop.
func (w *authWorkers) next() *authJob {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if w.stopped {
			return nil
		}
		if job := w.queue.pop(); job != nil {
			return job
		}
		w.ready.Wait()
	}
}

// remove takes a job out whose handshake has ended.
func (w *authWorkers) remove(job *authJob) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.remove(job)
}

// verified notes that a source has sent a good token.
func (w *authWorkers) verified(of iplimit.Source, now time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.verified(of, now)
}

// runAuthJob checks one token and posts the result to the connection's loop.
func (s *Server) runAuthJob(job *authJob) {
	l := job.c.loop
	defer func() {
		if problem := recover(); problem != nil {
			l.stats.Panics.Add(1)
			s.log.Error("checking a token failed; the connection is closed", "panic", problem, "stack", string(debug.Stack()))
			l.do(func() { job.c.closeNow(ReasonPanic) })
		}
	}()
	req := job.req
	refusal := s.upgrader().Check(&req, s.cfg.Now())
	if refusal == nil {
		s.auth.verified(job.source, s.now())
	}
	l.do(func() {
		defer job.c.guard()
		if job.c.state == stateAuthenticating { // the connection may have ended meanwhile
			job.c.extra.hs.authenticated(req, refusal, job.early)
		}
	})
}

// authenticateAsync hands a token to the workers. The handshake waits for them for Config.AuthTimeout at most, and within
// its deadline.
func (h *pendingHandshake) authenticateAsync(req handshake.Request, more []byte) {
	c, l, s := h.conn, h.conn.loop, h.conn.loop.server
	switch {
	case s.draining.Load():
		h.respondError(req, handshake.RefuseDraining(s.retryAfter()))
		return
	case len(more) > maxEarly:
		h.respondError(req, handshake.RefuseEarly())
		return
	}
	req.Detach()
	job := &authJob{c: c, source: h.source, heldRequest: heldRequest{req: req, early: bytes.Clone(more)}}
	h.job, h.held = job, &job.heldRequest
	h.setState(stateAuthenticating, unknownWeight)
	l.stats.Authenticating.Add(1)
	c.setTimer(min(s.now()+s.cfg.AuthTimeout, s.moment(l.wheel.At(c))))
	if out := s.auth.put(job, s.cfg.AuthQueue, s.now()); out != nil {
		out.cancel(l)
	}
	if c.state == stateAuthenticating {
		h.growBytes(job.size())
	}
}

// cancel ends a handshake whose token will not be checked. from is the loop whose lock is held.
func (job *authJob) cancel(from *loop) {
	if job.c.loop == from {
		job.c.extra.hs.authTimedOut()
		return
	}
	job.c.loop.do(func() {
		defer job.c.guard()
		if job.c.state == stateAuthenticating {
			job.c.extra.hs.authTimedOut()
		}
	})
}

// authTimedOut ends a handshake whose token has not been checked in time.
func (h *pendingHandshake) authTimedOut() {
	h.respondError(h.held.req, handshake.RefuseChecksFull(h.conn.loop.server.retryAfter()))
}

// authQueue is the jobs that wait for a worker. Clients with a good token must not wait behind those that only try. So
// tokens that name a known key go first, then those of the sources with the fewest tokens of late that were not good,
// and of these the newest: whoever waits behind all others would wait in vain anyway, and is refused first when too many
// wait. Guarded by authWorkers.mu. Make it with newAuthQueue.
type authQueue struct {
	lists      [auth.PriorityCount][unverifiedRanks]list.List[authJob] // the newest last
	waiting    int
	unverified map[iplimit.Source]unverified
}

const (
	// unverifiedRanks is the number of ranks for sources by their unverified tokens, each rank for twice as many as the
	// one before.
	unverifiedRanks = 16
	// unverifiedHalfLife is the time after which half of these are forgotten.
	unverifiedHalfLife = 4 * time.Second
	// unverifiedSources bounds the sources that are remembered. Beyond it all are forgotten: then the newest go first.
	unverifiedSources = 16 << 10
)

// unverified is how many tokens of a source were not good, or are not checked yet.
type unverified struct {
	n  float32
	at instant
}

func newAuthQueue() authQueue { return authQueue{unverified: make(map[iplimit.Source]unverified)} }

// push puts a job in, and counts it against its source.
func (q *authQueue) push(k *authJob, now time.Duration) {
	n := q.unverifiedOf(k.source, now)
	q.setUnverified(k.source, n+1, now)
	k.rank = uint8(min(bits.Len(uint(n)), unverifiedRanks-1))
	q.lists[k.req.Priority][k.rank].Append(&k.node, k)
	q.waiting++
}

// pop takes the next job out; nil if none waits.
func (q *authQueue) pop() *authJob {
	for priority := range q.lists {
		for rank := range q.lists[priority] {
			if k := q.lists[priority][rank].Last(); k != nil {
				q.remove(k)
				return k
			}
		}
	}
	return nil
}

// worst returns the job that waits behind all others, nil if none waits.
func (q *authQueue) worst() *authJob {
	for priority := len(q.lists) - 1; priority >= 0; priority-- {
		for rank := unverifiedRanks - 1; rank >= 0; rank-- {
			if k := q.lists[priority][rank].First(); k != nil {
				return k
			}
		}
	}
	return nil
}

// remove takes a job out; one that is not in does no harm.
func (q *authQueue) remove(k *authJob) {
	if k.node.InAny() {
		k.node.Remove()
		q.waiting--
	}
}

// verified notes that a source has sent a good token.
func (q *authQueue) verified(of iplimit.Source, now time.Duration) {
	q.setUnverified(of, q.unverifiedOf(of, now)-1, now)
}

func (q *authQueue) unverifiedOf(of iplimit.Source, now time.Duration) float32 {
	u, ok := q.unverified[of]
	if !ok {
		return 0
	}
	return u.n * float32(math.Exp2(-u.at.ago(now).Seconds()/unverifiedHalfLife.Seconds()))
}

func (q *authQueue) setUnverified(of iplimit.Source, n float32, now time.Duration) {
	if n < 0.5 {
		delete(q.unverified, of)
		return
	}
	if len(q.unverified) >= unverifiedSources {
		q.unverified = make(map[iplimit.Source]unverified)
	}
	q.unverified[of] = unverified{n, instantOf(now)}
}
