package netpoll

import (
	"errors"
	"runtime/debug"
	"time"
	"unsafe"

	"roost/netpoll/internal/tlshandshake"
	"roost/netpoll/internal/tlsrecord"
	"roost/wsproto/handshake"
)

// A connection of the TLS port begins in stateTLS. The loop feeds what comes to a tlshandshake.Handshake, which asks for a
// worker where it has to compute: that takes a thousand times as long as all else. So limits and rates are checked before,
// and handshakes under way are bounded as all pending handshakes are: in number and in bytes, by address, and in time.

// tlsJob is a TLS handshake under way. While it is queued or running, it is the workers'; otherwise the loop's. Bytes that come
// before the loop has seen the result of a run wait, or they would be fed ahead of earlier ones.
type tlsJob struct {
	job
	c         *conn // static
	handshake *tlshandshake.Handshake

	// The loop's.
	held  int    // what handshake holds, as of when it was the loop's last
	away  bool   // the workers have it, or its result is on the way
	early []byte // what came meanwhile
	began bool   // it has been queued before

	// Guarded by workers.mu.
	owner  tlsOwner
	status tlshandshake.Status // of the last run, as the next
	err    error
}

// tlsOwner says who may use a handshake.
type tlsOwner uint8

const (
	ownedByLoop   tlsOwner = iota
	ownedByWorker          // it waits for one, or runs
	ownedByNobody          // it runs, and its connection has ended: the worker closes it
)

// Priorities of TLS handshakes. Those that are half done hold most memory.
const (
	priorityTLSBegun uint8 = iota
	priorityTLSNew
)

// tlsJobSize is the size of a tlsJob and of the handshake before anything has come.
const tlsJobSize = int(unsafe.Sizeof(tlsJob{}))

// size is the number of bytes that are kept for it.
func (k *tlsJob) size() int { return tlsJobSize + k.held + cap(k.early) }

// looksLikeTLS reports whether b begins as a TLS record with a handshake message does.
func looksLikeTLS(b []byte) bool {
	const recordHandshake, major = 22, 3
	return len(b) >= 2 && b[0] == recordHandshake && b[1] == major
}

// readTLS takes bytes of the TLS handshake, with the PROXY header before it if there must be one.
func (h *pendingHandshake) readTLS(b []byte) {
	if h.tls == nil && h.conn.loop.server.cfg.ProxyProtocol {
		if h.head != nil {
			b = append(h.head, b...)
		}
		size, ok := h.readProxyHeader(b)
		if !ok {
			return
		}
		h.head, h.scanned = nil, 0
		b = b[size:]
	}
	if h.tls == nil {
		k := &tlsJob{c: h.conn, handshake: h.conn.loop.server.cfg.TLS.Start()}
		k.job = job{work: k, source: h.source}
		h.tls = k
		h.setWeight(unknownWeight) // of the client that the PROXY header names
	}
	if len(b) == 0 {
		h.growBytes()
		return
	}
	if !h.requested {
		h.requested = true
		h.conn.loop.stats.partialRequests.Add(1)
	}
	if h.tls.away {
		h.saveEarlyTLS(b)
		return
	}
	h.tlsStep(h.tls.handshake.Feed(b))
}

// saveEarlyTLS keeps what comes while a worker has the handshake.
func (h *pendingHandshake) saveEarlyTLS(b []byte) {
	if len(h.tls.early)+len(b) > maxEarly {
		h.conn.countTLSFailure(tlsrecord.Violation(tlsrecord.AlertUnexpectedMessage, "too much before the handshake went on"))
		h.conn.closeNow(ReasonHandshake)
		return
	}
	h.tls.early = append(h.tls.early, b...)
	h.growBytes()
}

// tlsStep goes on with a handshake that has been fed or run.
func (h *pendingHandshake) tlsStep(status tlshandshake.Status, err error) {
	c, k := h.conn, h.tls
	output := k.handshake.Output()
	if err != nil {
		h.tlsFailed(err, output)
		return
	}
	if len(output) > 0 {
		c.sendSealed(output)
		if c.state != stateTLS {
			return
		}
	}
	switch status {
	case tlshandshake.NeedRun:
		h.queueTLS()
	case tlshandshake.Done:
		h.tlsDone(k.handshake.Result())
		return
	}
	if c.state == stateTLS && !k.away {
		k.held = k.handshake.Held()
	}
	if c.state == stateTLS {
		h.growBytes()
	}
}

// queueTLS hands a handshake to the workers, if there is room for one more.
func (h *pendingHandshake) queueTLS() {
	l, s, k := h.conn.loop, h.conn.loop.server, h.tls
	if !k.began {
		if why, refused := h.refusedTLS(); refused {
			h.closeUnanswered(why)
			return
		}
	}
	k.held = k.handshake.Held()
	k.priority = priorityTLSNew
	if k.began {
		k.priority = priorityTLSBegun
	}
	k.began, k.away = true, true
	h.tlsRuns, h.tlsSource = h.tlsRuns+1, k.source
	if out := s.workers.putTLS(k, s.cfg.AuthQueue, s.now()); out != nil {
		out.cancel(l)
	}
}

// refusedTLS reports whether the client may not have a TLS handshake now. It gets no answer: that would have to be sealed.
func (h *pendingHandshake) refusedTLS() (why unanswered, refused bool) {
	s := h.conn.loop.server
	rules := s.rules.Load()
	switch {
	case rules.MaxPerIP > 0 && s.perIP.Full(h.source, rules.MaxPerIP) && !s.cfg.Hub.ReplacesOldest():
		return unansweredTLSAddress, true
	case rules.secure != nil && !rules.secure.Take(uint64(h.source), s.now()):
		return unansweredTLSRate, true
	}
	return 0, false
}

// closeUnanswered ends a pending handshake at once, and counts why.
func (h *pendingHandshake) closeUnanswered(why unanswered) {
	h.conn.loop.server.accepts.unanswered[why].Add(1)
	h.conn.closeNow(ReasonHandshake)
}

// run implements work.
func (k *tlsJob) run(s *Server) {
	l := k.c.loop
	defer func() {
		if problem := recover(); problem != nil {
			l.stats.Panics.Add(1)
			s.log.Error("a TLS handshake failed; the connection is closed", "panic", problem, "stack", string(debug.Stack()))
			s.workers.finishTLS(k, tlshandshake.Done, tlshandshake.ErrEnded) // for the loop to close it: a coroutine may stand still in it
			l.do(func() { k.c.closeNow(ReasonPanic) })
		}
	}()
	status, err := k.handshake.Run()
	if !s.workers.finishTLS(k, status, err) {
		return
	}
	l.do(func() {
		defer k.c.guard()
		if k.c.state == stateTLS { // the connection may have ended meanwhile
			k.c.extra.hs.tlsRan()
		}
	})
}

// cancel implements work.
func (k *tlsJob) cancel(from *loop) {
	end := func() {
		defer k.c.guard()
		if k.c.state == stateTLS {
			k.c.extra.hs.closeUnanswered(unansweredTLSQueue)
		}
	}
	if k.c.loop == from {
		end()
		return
	}
	k.c.loop.do(end)
}

// tlsRan goes on with a handshake that a worker has given back.
func (h *pendingHandshake) tlsRan() {
	c, early := h.conn, h.tls.early
	h.tls.away, h.tls.early = false, nil
	h.tlsStep(h.tls.status, h.tls.err)
	if len(early) > 0 && c.state != stateClosed {
		c.receivedRaw(early)
	}
}

// tlsFailed ends a handshake that can't end well. output has the alert, if the client can be told.
func (h *pendingHandshake) tlsFailed(err error, output []byte) {
	c := h.conn
	switch {
	case errors.Is(err, tlshandshake.ErrHTTP):
		h.respondHeadError(handshake.RefusePlainHTTP(), ReasonAnswered)
		return
	case errors.Is(err, tlshandshake.ErrNotTLS):
		h.closeUnanswered(unansweredNotTLS)
		return
	}
	c.countTLSFailure(err)
	h.logTLSFailed(err)
	if len(output) == 0 {
		c.closeNow(ReasonHandshake)
		return
	}
	h.closeWithError(ReasonHandshake, output)
}

// tlsDone goes on with the request, which comes sealed from here on.
func (h *pendingHandshake) tlsDone(r tlshandshake.Result) {
	c, l, s := h.conn, h.conn.loop, h.conn.loop.server
	c.setSecure(r)
	s.tls.handshakes.add(TLSHandshake{versionName(r.Version), suiteName(r.Suite), r.Resumed})
	l.tlsHandshakes.Observe(c.lastRead.ago(s.now()), 1)
	h.setState(stateRequest, unknownWeight)
	h.setBytes(h.keptBytes())
	if r.Protocol == AcmeProtocol {
		c.closeWith(ReasonAnswered, nil) // RFC 8737 section 3: the handshake was all
		return
	}
	if h.handOverLate(r.Leftover, nil, nil) {
		return
	}
	if len(r.Leftover) > 0 {
		c.receivedRaw(r.Leftover)
	}
}

// leaveTLS frees what a handshake has for stateTLS.
func (h *pendingHandshake) leaveTLS() {
	if h.tls != nil {
		h.conn.loop.server.workers.dropTLS(h.tls)
		h.tls = nil
	}
	if h.requested {
		h.conn.loop.stats.partialRequests.Add(-1)
	}
	h.head, h.scanned, h.requested = nil, 0, false
}

// putTLS is put for a TLS handshake, which is the workers' from now on.
func (w *workers) putTLS(k *tlsJob, limit int, now time.Duration) (out *job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k.owner = ownedByWorker
	if out = w.putLocked(&w.tls, &k.job, limit, now); out != nil {
		out.work.(*tlsJob).owner = ownedByLoop // of its own loop, which ends it
	}
	return out
}

// finishTLS gives a handshake back to its loop after a run. If its connection has ended, it closes it and returns false.
func (w *workers) finishTLS(k *tlsJob, status tlshandshake.Status, err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k.owner == ownedByNobody {
		k.handshake.Close()
		return false
	}
	k.owner, k.status, k.err = ownedByLoop, status, err
	return true
}

// dropTLS closes the handshake of a connection that has ended, or has the worker do so that runs it.
func (w *workers) dropTLS(k *tlsJob) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k.owner == ownedByWorker && !k.node.InAny() {
		k.owner = ownedByNobody
		return
	}
	w.tls.remove(&k.job)
	k.handshake.Close()
}
