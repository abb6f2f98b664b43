package netpoll

import (
	"math"
	"math/bits"
	"sync"
	"time"

	"roost/internal/list"
	"roost/netpoll/internal/iplimit"
	"roost/wsproto/auth"
)

// work is what takes longer than a loop may: checking a token, and the public-key part of a TLS handshake.
type work interface {
	// run does it, and posts the result to the loop of its connection.
	run(s *Server)

	// cancel ends the handshake of work that was taken out of a full queue. from is the loop whose lock is held.
	cancel(from *loop)
}

// job is the place of work in its queue.
type job struct {
	work                    // static
	source   iplimit.Source // static
	priority uint8          // static: the lowest goes first
	rank     uint8          // guarded by workers.mu, as the next
	node     list.Node[job] // in one of jobQueue.lists, while the job waits
}

// workers are the goroutines that work for the loops, Config.AuthWorkers of them, and the queues before them, of
// Config.AuthQueue jobs each.
type workers struct {
	running sync.WaitGroup

	mu      sync.Mutex
	ready   sync.Cond // on mu: a job waits, or the workers are to stop
	tokens  jobQueue  // guarded by mu, as the rest
	tls     jobQueue
	tlsNext bool // whose turn it is: neither kind of work can keep the other waiting
	stopped bool
}

// startWorkers starts the workers.
func (s *Server) startWorkers() {
	w := &s.workers
	w.ready.L = &w.mu
	w.tokens, w.tls = newJobQueue(), newJobQueue()
	for range s.cfg.AuthWorkers {
		w.running.Go(func() {
			for j := w.next(); j != nil; j = w.next() {
				j.run(s)
			}
		})
	}
}

// stop ends the workers. Queued jobs are discarded.
func (w *workers) stop() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.ready.Broadcast()
	w.running.Wait()
}

// put queues a job. If more than limit wait, the one that would wait longest is taken out and returned; it may be this
// one. put does not block.
func (w *workers) put(q *jobQueue, j *job, limit int, now time.Duration) (out *job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.putLocked(q, j, limit, now)
}

// putLocked is put for a caller that holds mu.
func (w *workers) putLocked(q *jobQueue, j *job, limit int, now time.Duration) (out *job) {
	q.push(j, now)
	if q.waiting > limit {
		out = q.worst()
		q.remove(out)
	}
	w.ready.Signal()
	return out
}

// next waits for a job, and returns it; nil when the workers are to stop.
func (w *workers) next() *job {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if w.stopped {
			return nil
		}
		first, second := &w.tokens, &w.tls
		if w.tlsNext {
			first, second = second, first
		}
		j := first.pop()
		if j == nil {
			j = second.pop()
		} else {
			w.tlsNext = !w.tlsNext
		}
		if j != nil {
			return j
		}
		w.ready.Wait()
	}
}

// remove takes a job out whose handshake has ended.
func (w *workers) remove(q *jobQueue, j *job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	q.remove(j)
}

// verified notes that a source has sent a good token, to which so many jobs have led.
func (w *workers) verified(q *jobQueue, of iplimit.Source, jobs int, now time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	q.verified(of, jobs, now)
}

// jobQueue is the jobs of one kind that wait for a worker. Clients with a good token must not wait behind those that only
// try. So jobs go by priority, then by source: those with the fewest jobs of late that led to nothing go first, and of
// these the newest: a job behind all others would wait in vain anyway, and is refused first when too many wait.
// Guarded by workers.mu. Make it with newJobQueue.
type jobQueue struct {
	lists      [auth.PriorityCount][unverifiedRanks]list.List[job] // the newest last
	waiting    int
	unverified map[iplimit.Source]unverified
}

const (
	// unverifiedRanks is the number of ranks for sources by their unverified jobs, each rank for twice as many as the
	// one before.
	unverifiedRanks = 16
	// unverifiedHalfLife is the time after which half of these are forgotten.
	unverifiedHalfLife = 4 * time.Second
	// unverifiedSources bounds the sources that are remembered. Beyond it all are forgotten: then the newest go first.
	unverifiedSources = 16 << 10
)

// unverified is how many jobs of a source led to no good token, or not yet.
type unverified struct {
	n  float32
	at instant
}

func newJobQueue() jobQueue { return jobQueue{unverified: make(map[iplimit.Source]unverified)} }

// push puts a job in, and counts it against its source.
func (q *jobQueue) push(k *job, now time.Duration) {
	n := q.unverifiedOf(k.source, now)
	q.setUnverified(k.source, n+1, now)
	k.rank = uint8(min(bits.Len(uint(n)), unverifiedRanks-1))
	q.lists[k.priority][k.rank].Append(&k.node, k)
	q.waiting++
}

// pop takes the next job out; nil if none waits.
func (q *jobQueue) pop() *job {
	if q.waiting == 0 {
		return nil
	}
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
func (q *jobQueue) worst() *job {
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
func (q *jobQueue) remove(k *job) {
	if k.node.InAny() {
		k.node.Remove()
		q.waiting--
	}
}

// verified notes that so many jobs of a source have led to a good token.
func (q *jobQueue) verified(of iplimit.Source, jobs int, now time.Duration) {
	q.setUnverified(of, q.unverifiedOf(of, now)-float32(jobs), now)
}

func (q *jobQueue) unverifiedOf(of iplimit.Source, now time.Duration) float32 {
	u, ok := q.unverified[of]
	if !ok {
		return 0
	}
	return u.n * float32(math.Exp2(-u.at.ago(now).Seconds()/unverifiedHalfLife.Seconds()))
}

func (q *jobQueue) setUnverified(of iplimit.Source, n float32, now time.Duration) {
	if n < 0.5 {
		delete(q.unverified, of)
		return
	}
	if len(q.unverified) >= unverifiedSources {
		q.unverified = make(map[iplimit.Source]unverified)
	}
	q.unverified[of] = unverified{n, instantOf(now)}
}
