package netpoll

import (
	"math/rand/v2"
	"time"

	"roost/netpoll/internal/wheel"
	"roost/wsproto"
)

// timeout returns for how many milliseconds nothing is due; -1: for ever.
func (l *loop) timeout() int {
	if l.armed == 0 {
		return -1
	}
	left := l.server.moment(l.armed) - l.server.now()
	return max(0, int((left+time.Millisecond-1)/time.Millisecond))
}

// runTimers does what is due. With an empty wheel nothing ever is.
func (l *loop) runTimers() {
	if l.armed == 0 {
		return
	}
	now := l.server.now()
	if now < l.server.moment(l.armed) {
		return
	}
	l.notePause(now)
	l.armed = 0
	l.wheel.Advance(wheel.Tick(now/l.server.tickLength), func(c *conn) { l.due(c, now) })
	if next, ok := l.wheel.Next(); ok {
		l.arm(next)
	}
}

// at sets the connection's one timer.
func (l *loop) at(c *conn, when time.Duration) {
	if l.wheel.Len() == 0 {
		l.wheel.Skip(wheel.Tick(l.server.now() / l.server.tickLength))
	}
	l.wheel.Arm(c, l.server.tick(when))
	if at := l.wheel.At(c); l.armed == 0 || at < l.armed {
		l.arm(at)
	}
}

// arm has the loop look at its wheel at a tick.
func (l *loop) arm(at wheel.Tick) {
	l.armed = at
	if l.asleep {
		l.poll.ring() // it would sleep for too long
	}
}

// beforeFirstPing returns when a connection counts as pinged that has just been
// opened: somewhere in the last interval, so that a storm of connects does not
// become a storm of pings.
func (l *loop) beforeFirstPing(now time.Duration) instant {
	return instantOf(now - time.Duration(rand.Int64N(int64(l.server.cfg.PingInterval))))
}

// due is called when a connection's timer has fired: it does what is due by
// now, or finds that the time was moved on since, and sets the next one.
func (l *loop) due(c *conn, now time.Duration) {
	defer l.guard(c)
	cfg := &l.server.cfg
	switch {
	case c.state == stateOpening:
		l.refuse(c, wsproto.RefuseTimeout(), ReasonHandshake)
		return
	case c.state == stateChecking:
		l.checkTooLate(c)
		return
	case c.state == stateAwaiting:
		l.awaited(c, false)
		return
	case c.state == stateClosing || c.state == stateLingering:
		l.dueEnding(c, now)
		return
	}
	if now < l.mercy {
		l.pardon(c, now)
	}
	switch {
	case c.stalled() && l.takesNothing(c, now):
		l.drop(c, ReasonWriteWait)
		return
	case c.heard.ago(now) >= cfg.PongWait && !c.stalled():
		l.drop(c, ReasonPongWait)
		return
	}
	if c.unfinishedFor(now) >= cfg.PongWait {
		l.end(c, ReasonUnfinished, wsproto.AppendClose(l.scratch[:0], wsproto.ClosePolicy, "message not complete in time"))
		return
	}
	if c.expired() {
		l.end(c, ReasonExpired, wsproto.AppendClose(l.scratch[:0], closeExpired, "token expired"))
		return
	}
	if cfg.MaxAge > 0 && now >= l.tooOldAt(c) {
		l.endOld(c)
		return
	}
	if c.pinged.ago(now) >= cfg.PingInterval {
		l.talkers.quiet(c, now)
		l.ping(c)
		// From now, not from when it was due: after a pause of the machine one
		// ping is enough.
		c.pinged = instantOf(now)
	}
	l.schedule(c, now)
}

// schedule sets an open connection's timer to the nearest thing to do. Whatever
// only moves a deadline away (a frame that was heard) leaves the timer as it is.
func (l *loop) schedule(c *conn, now time.Duration) {
	if c.state != stateOpen {
		return
	}
	cfg := &l.server.cfg
	wait := cfg.PingInterval - c.pinged.ago(now)
	if !c.stalled() {
		wait = min(wait, cfg.PongWait-c.heard.ago(now))
	}
	if c.expires != 0 {
		wait = min(wait, c.untilExpiry())
	}
	if c.part != nil {
		wait = min(wait, cfg.PongWait-c.unfinishedFor(now))
	}
	when := now + wait
	if cfg.MaxAge > 0 {
		when = min(when, l.tooOldAt(c))
	}
	if c.stalled() {
		when = min(when, l.lookAt(c))
	}
	l.at(c, when)
}

// takesNothing sees whether a client has taken anything of what waits for it lately,
// and reports whether it has not for WriteWait.
func (l *loop) takesNothing(c *conn, now time.Duration) bool {
	if now >= l.lookAt(c) {
		l.look(c, now)
	}
	return c.out.progress.idle(now) >= l.server.cfg.WriteWait
}

// lookAt returns when that is to be looked at next: eight times in WriteWait, so that a
// client which takes nothing any more is ended so little late, and when it is over.
func (l *loop) lookAt(c *conn) time.Duration {
	wait, p := l.server.cfg.WriteWait, &c.out.progress
	return min(p.looked+wait/8, p.taken+wait)
}

// ping sends a ping, ahead of the notifications that wait: a client that is slow
// but reads gets it, and answers.
func (l *loop) ping(c *conn) {
	l.stats.pings.Add(1)
	if c.out != nil {
		c.out.ping = wsproto.Ping()
		return
	}
	l.sendNow(c, wsproto.Ping())
}
