package netpoll

import (
	"context"
	"hash/maphash"
	"log/slog"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"roost/hub"
	"roost/internal/pause"
	"roost/netpoll/internal/iplimit"
	"roost/wsproto"
	"roost/wsproto/handshake"
)

// The client of an open connection can renew its token: it sends {"type":"auth","token":"…"}, a worker checks the token as in a
// handshake, and the connection gets the token's groups and expiry. Each such message gets one answer, in an envelope of type _auth.
// A token that is not accepted changes nothing.
//
// A worker does it, even where a loop could check the token: changing groups may have to wait for the turn of a broadcast. At most
// one token of a connection is checked at a time, and only so many a second, so that a stranger with one good token keeps no
// worker from the tokens of others. The queue is fair among users for renewals, as it is among addresses for handshakes.

const (
	// renewalRate is how many tokens a second a client may send, and renewalBurst how many at once.
	renewalRate  = 1
	renewalBurst = 5
)

// renewalResult is what became of a token that a client sent on an open connection.
type renewalResult uint8

const (
	renewalDone      renewalResult = iota
	renewalMessage                 // there is no token in the message
	renewalToken                   // the token was not accepted
	renewalOtherUser               // it is another user's
	renewalTooMany                 // another one of this connection was being checked, or it has sent more than it may
	renewalBusy                    // too many tokens waited to be checked, or the key is being fetched
	renewalResults
)

var renewalNames = [renewalResults]string{
	renewalDone:      "renewed",
	renewalMessage:   "message",
	renewalToken:     "token",
	renewalOtherUser: "other_user",
	renewalTooMany:   "too_many",
	renewalBusy:      "busy",
}

// renewal is a token that a worker checks for an open connection.
type renewal struct {
	job
	c     *conn             // static; what it points to is the loop's
	user  string            // static: the connection's
	token []byte            // static
	req   handshake.Request // static; it refers to token
	phase atomic.Uint32     // see below

	deadline time.Duration // the loop's: until when it has to be done
	inTime   bool          // the loop's: it began before the previous token expired, and the connection does not end until it is done
	held     bool          // the loop's: it has to begin again, if the connection is not handed over
}

// The phases of a renewal. The goroutine that changes the first one decides what becomes of it.
const (
	renewalWaits   uint32 = iota // to be checked
	renewalApplies               // a worker gives the connection its groups
	renewalEnds                  // the loop does not wait for it any more
)

// renewals is what all renewals share. Any goroutine.
type renewals struct {
	seed maphash.Seed // static

	// A handover closes the gate: nothing may be delivered from then on, as changing groups may do.
	gate   sync.RWMutex // held for reading while groups are changed
	closed atomic.Bool
}

// source is what fairness among renewals goes by: the user. A connection does not keep its client's address.
func (r *renewals) source(user string) iplimit.Source {
	return iplimit.Source(maphash.String(r.seed, user))
}

// apply runs fn, unless the gate is closed.
func (r *renewals) apply(fn func()) (done bool) {
	r.gate.RLock()
	defer r.gate.RUnlock()
	if r.closed.Load() {
		return false
	}
	fn()
	return true
}

// close closes the gate, and waits until no groups are being changed, for which the loops have to run. After an error, that of ctx,
// some groups may still be changing.
func (r *renewals) close(ctx context.Context) error {
	r.closed.Store(true)
	for !r.gate.TryLock() {
		if !pause.For(ctx, time.Millisecond) {
			return ctx.Err()
		}
	}
	r.gate.Unlock()
	return nil
}

// renewal returns the one of a connection that is under way; nil if there is none.
func (c *conn) renewal() *renewal {
	if c.loop.renewing.Len() == 0 {
		return nil
	}
	return c.loop.renewing.Get(c)
}

// receivedAuth handles a message that renews the token. text is what is behind its beginning, see wsproto.AuthToken; nothing of it is kept.
func (c *conn) receivedAuth(text []byte) {
	l, s := c.loop, c.loop.server
	now := s.now()
	if c.selfCheck {
		return
	}
	if c.renewal() != nil {
		c.refuseRenewal(renewalTooMany, 429, "a token of this connection is being checked: wait for the answer", time.Second)
		return
	}
	if whole, ok := l.renewed.Whole(c); ok && whole-now > (renewalBurst-1)*time.Second/renewalRate {
		c.refuseRenewal(renewalTooMany, 429, "too many tokens of this connection", time.Second/renewalRate)
		return
	}
	l.renewed.Allow(c, now, renewalRate, renewalBurst)
	token, err := wsproto.AuthToken(text)
	if err != nil {
		c.refuseRenewal(renewalMessage, 400, err.Error(), 0)
		return
	}
	c.renew(token, c.expires == 0 || c.expires.left(s.cfg.Now()) > 0)
}

// renew begins to check a token, which it keeps. inTime says that the previous token had not expired when this one came.
func (c *conn) renew(token []byte, inTime bool) {
	l, s := c.loop, c.loop.server
	upgrader := s.upgrader()
	req, refusal := upgrader.Renewal(token)
	checked := req
	if refusal == nil {
		refusal, _ = upgrader.Identify(&checked, s.cfg.Now()) // most that is wrong is found in a few microseconds
	}
	if refusal != nil {
		c.renewalRefused(refusal)
		return
	}
	if share := s.rules.Load().pendingShare; share > 0 && l.renewalBytes+cap(token) > share {
		c.renewalRefused(handshake.RefuseChecksFull(s.retryAfter()))
		return
	}
	user := c.link.User()
	k := &renewal{c: c, user: user, token: token, req: req, inTime: inTime}
	k.job = job{work: k, source: s.renewals.source(user), priority: uint8(checked.Priority)}
	l.renewing.Put(c, k)
	l.renewalBytes += cap(token)
	l.stats.Renewing.Add(1)
	k.queue()
}

// queue puts a renewal into the queue of the workers.
func (k *renewal) queue() {
	c, l, s := k.c, k.c.loop, k.c.loop.server
	k.held = false
	k.deadline = s.now() + s.cfg.AuthTimeout
	c.resetTimer(s.now())
	if out := s.workers.put(&s.workers.tokens, &k.job, s.cfg.AuthQueue, s.now()); out != nil {
		out.cancel(l)
	}
}

// run implements work.
func (k *renewal) run(s *Server) {
	l := k.c.loop
	defer func() {
		if problem := recover(); problem != nil {
			l.stats.Panics.Add(1)
			s.log.Error("renewing a token failed; the connection is closed", "panic", problem, "stack", string(debug.Stack()))
			l.do(func() { k.c.closeNow(ReasonPanic) })
		}
	}()
	req := k.req
	refusal := s.upgrader().Check(&req, s.cfg.Now())
	if refusal == nil && req.User == k.user {
		s.workers.verified(&s.workers.tokens, k.source, 1, s.now())
		ended := false
		applied := s.renewals.apply(func() {
			if ended = !k.phase.CompareAndSwap(renewalWaits, renewalApplies); !ended {
				s.cfg.Hub.Renew(k.c, req.Groups)
			}
		})
		switch {
		case ended:
			return
		case !applied:
			l.do(k.hold)
			return
		}
	}
	l.do(func() {
		defer k.c.guard()
		k.checked(&req, refusal)
	})
}

// checked goes on when a worker has checked the token, and changed the groups if it was good.
func (k *renewal) checked(req *handshake.Request, refusal *handshake.Refusal) {
	c, s := k.c, k.c.loop.server
	if c.renewal() != k { // the connection has ended meanwhile, or the time was over
		return
	}
	c.endRenewal()
	switch {
	case refusal != nil && refusal.Reason == handshake.ReasonKeyPending:
		c.renewalRefused(handshake.RefuseKeyPending(refusal.Wait + s.jitter()))
	case refusal != nil:
		c.renewalRefused(refusal)
	case req.User != k.user:
		c.refuseRenewal(renewalOtherUser, 403, "token of another user: a connection keeps its user", 0)
	default:
		c.accepted(req)
	}
	c.resetTimer(s.now())
}

// accepted gives the connection the expiry of its new token.
func (c *conn) accepted(req *handshake.Request) {
	s := c.loop.server
	if s.cfg.CloseOnExpiry {
		c.expires = expiryOf(req.Expires)
	}
	s.log.Debug("token renewed", "user_id", c.link.User(), "expires", req.Expires, "groups", len(req.Groups))
	c.answerToken(renewalDone, `"ok":true,`+string(appendExpires(nil, req.Expires, s.cfg.Now())))
}

// appendExpires appends when a token expires: the time, and, for clients whose clock is wrong, the whole seconds from now on.
func appendExpires(text []byte, expires, now time.Time) []byte {
	left := max(0, expires.Sub(now)) / time.Second
	expires = expires.UTC()
	if latest := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC); expires.After(latest) {
		expires = latest // later years have no form that everybody reads
	}
	text = expires.AppendFormat(append(text, `"expires":"`...), noticeTime)
	return strconv.AppendInt(append(text, `","expires_in":`...), int64(left), 10)
}

// tellExpiry returns what the hello says of the token, so that the client can renew it in time: nothing where the connection does not end
// with it. Clients that do not speak our sub-protocol may know no hello: they get none for this alone.
func (c *conn) tellExpiry(req *handshake.Request, w *hub.Welcome) []byte {
	if c.expires == 0 || !req.OffersProtocol() && w.ID == "" && w.Connection == "" {
		return nil
	}
	return appendExpires(nil, req.Expires, c.loop.server.cfg.Now())
}

// renewalRefused tells the client that its token was not accepted, in the words of a handshake.
func (c *conn) renewalRefused(refusal *handshake.Refusal) {
	result := renewalToken
	if refusal.Status == 503 {
		result = renewalBusy
	}
	c.refuseRenewal(result, refusal.Status, refusal.Text(), refusal.Wait)
}

// refuseRenewal tells the client so with a status as a handshake has it, and after how long it may try again if that is not 0.
func (c *conn) refuseRenewal(result renewalResult, status int, text string, wait time.Duration) {
	c.loop.server.log.Debug("token not renewed", slog.String("user_id", c.link.User()), slog.Int("status", status), slog.String("problem", text))
	payload := `"ok":false,"code":` + strconv.Itoa(int(handshake.RejectionCode(status))) + `,"reason":` + strconv.Quote(text)
	if wait > 0 {
		payload += `,"retry_after":` + strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)
	}
	c.answerToken(result, payload)
}

// answerToken counts what became of a token, and answers. While the client takes nothing, the answer to the latest token waits; one
// to a message that was not looked at does not take its place.
func (c *conn) answerToken(result renewalResult, payload string) {
	c.loop.stats.renewals[result].Add(1)
	text := `{"type":"_auth","payload":{` + payload + `}}`
	frame := append(wsproto.AppendTextHeader(make([]byte, 0, len(text)+4), len(text)), text...)
	switch {
	case c.out == nil:
		c.send(frame)
	case c.out.Answer == nil || result != renewalTooMany:
		c.out.Answer = frame
	}
}

// hold keeps a renewal that a handover has come before.
func (k *renewal) hold() {
	if k.c.renewal() != k {
		return
	}
	if k.held = k.c.loop.server.renewals.closed.Load(); !k.held {
		k.queue()
	}
}

// renewHeld goes on with the renewals that were held, after a handover that has failed.
func (l *loop) renewHeld() {
	var held []*renewal
	for _, k := range l.renewing.All() {
		if k.held {
			held = append(held, k)
		}
	}
	for _, k := range held {
		k.queue()
	}
}

// cancel implements work.
func (k *renewal) cancel(from *loop) {
	if k.c.loop == from {
		k.timedOut()
		return
	}
	k.c.loop.do(k.timedOut)
}

// timedOut ends a renewal whose token has not been checked in time, unless its groups are being changed.
func (k *renewal) timedOut() {
	c, s := k.c, k.c.loop.server
	defer c.guard()
	if c.renewal() != k {
		return
	}
	if !k.phase.CompareAndSwap(renewalWaits, renewalEnds) {
		k.deadline = s.now() + s.cfg.AuthTimeout
		return
	}
	c.endRenewal()
	c.renewalRefused(handshake.RefuseChecksFull(s.retryAfter()))
	c.resetTimer(s.now())
}

// endRenewal ends the renewal that is under way, if there is one.
func (c *conn) endRenewal() {
	l, k := c.loop, c.renewal()
	if k == nil {
		return
	}
	k.phase.CompareAndSwap(renewalWaits, renewalEnds)
	l.renewing.Delete(c)
	l.renewalBytes -= cap(k.token)
	l.stats.Renewing.Add(-1)
	l.server.workers.remove(&l.server.workers.tokens, &k.job)
}

// expiresIn returns how long the connection's token, which expires, is good. While a new one is checked that came in time, the
// connection does not end.
func (c *conn) expiresIn(now time.Duration) time.Duration {
	left := c.expires.left(c.loop.server.cfg.Now())
	if k := c.renewal(); k != nil && k.inTime {
		left = max(left, k.deadline-now)
	}
	return left
}
