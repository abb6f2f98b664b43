package netpoll

import (
	"math"
	"time"

	"roost/netpoll/internal/wheel"
	"roost/wsproto"
	"roost/wsproto/handshake"
)

// untilTimer returns how many milliseconds are left until a timer is due; -1 means that none is armed.
func (l *loop) untilTimer() int {
	if l.armed == 0 {
		return -1
	}
	left := l.server.moment(l.armed) - l.server.now()
	return max(0, int((left+time.Millisecond-1)/time.Millisecond))
}

// runTimers fires the timers that are due.
func (l *loop) runTimers() {
	if l.armed == 0 {
		return
	}
	now := l.server.now()
	if now < l.server.moment(l.armed) {
		return
	}
	l.detectPause(now)
	l.armed = 0
	l.wheel.Advance(wheel.Tick(now/l.server.tickLength), func(c *conn) { c.onTimer(now) })
	if next, ok := l.wheel.Next(); ok {
		l.arm(next)
	}
}

// setTimer sets the connection's one timer.
func (c *conn) setTimer(when time.Duration) {
	l := c.loop
	if l.wheel.Len() == 0 {
		l.wheel.Skip(wheel.Tick(l.server.now() / l.server.tickLength))
	}
	l.wheel.Arm(c, l.server.tick(when))
	if at := l.wheel.At(c); l.armed == 0 || at < l.armed {
		l.arm(at)
	}
}

// arm has the loop wake for its wheel at a tick.
func (l *loop) arm(at wheel.Tick) {
	l.armed = at
	if l.asleep {
		l.poll.ring() // it would sleep for too long
	}
}

// onTimer does what is due for a connection, and sets its timer again. Deadlines may have moved since the timer was set:
// then nothing is due.
func (c *conn) onTimer(now time.Duration) {
	l := c.loop
	defer c.guard()
	cfg := &l.server.cfg
	switch {
	case c.state == stateRequest:
		c.extra.hs.respondHeadError(handshake.RefuseTimeout(), ReasonHandshake)
		return
	case c.state == stateAuthenticating:
		c.extra.hs.authTimedOut()
		return
	case c.state == stateSubscribing:
		c.extra.hs.subscribed(false)
		return
	case c.state == stateClosing || c.state == stateLingering:
		c.onCloseTimer(now)
		return
	}
	if now < l.graceUntil {
		c.extendDeadlines(now)
	}
	switch {
	case c.stalled() && c.writeTimedOut(now):
		c.closeNow(ReasonWriteWait)
		return
	case c.lastRead.ago(now) >= cfg.PongWait && !c.stalled():
		c.closeNow(ReasonPongWait)
		return
	}
	if c.unfinishedFor(now) >= cfg.PongWait {
		c.closeWith(ReasonUnfinished, wsproto.AppendClose(l.scratch[:0], wsproto.ClosePolicy, "message not complete in time"))
		return
	}
	if c.expired() {
		c.closeWith(ReasonExpired, wsproto.AppendClose(l.scratch[:0], closeExpired, "token expired"))
		return
	}
	if cfg.MaxAge > 0 && now >= c.maxAgeAt() {
		// The client comes back to whichever instance has room.
		c.closeWith(ReasonAge, wsproto.AppendClose(l.scratch[:0], wsproto.CloseGoingAway, "connected for long: connect again"))
		return
	}
	if c.lastPing.ago(now) >= cfg.PingInterval {
		l.inbound.Tidy(c, now)
		c.sendPing()
		// From now, not from when it was due: after a pause of the machine one ping is enough.
		c.lastPing = instantOf(now)
	}
	c.resetTimer(now)
}

// resetTimer sets an open connection's timer to its next deadline. What only moves a deadline away, like a frame from the
// client, leaves the timer as it is.
func (c *conn) resetTimer(now time.Duration) {
	if c.state != stateOpen {
		return
	}
	cfg := &c.loop.server.cfg
	wait := cfg.PingInterval - c.lastPing.ago(now)
	if !c.stalled() {
		wait = min(wait, cfg.PongWait-c.lastRead.ago(now))
	}
	if c.expires != 0 {
		wait = min(wait, c.untilExpiry())
	}
	if c.extra != nil {
		wait = min(wait, cfg.PongWait-c.unfinishedFor(now))
	}
	when := now + wait
	if cfg.MaxAge > 0 {
		when = min(when, c.maxAgeAt())
	}
	if c.stalled() {
		when = min(when, c.nextAckPoll())
	}
	c.setTimer(when)
}

// writeTimedOut reports whether a stalled client has taken nothing for WriteWait. It asks the kernel when that is due.
func (c *conn) writeTimedOut(now time.Duration) bool {
	if now >= c.nextAckPoll() {
		c.pollAcked(now)
	}
	return c.out.Progress.Idle(now) >= c.loop.server.cfg.WriteWait
}

// nextAckPoll returns when to ask the kernel next what a stalled client has acknowledged.
func (c *conn) nextAckPoll() time.Duration { return c.out.Progress.LookAt(c.loop.server.cfg.WriteWait) }

// sendPing sends a ping, ahead of the notifications that wait: so a client that is slow but reads is asked in time.
func (c *conn) sendPing() {
	c.loop.stats.Pings.Add(1)
	if c.out != nil {
		c.out.Ping = wsproto.Ping()
		return
	}
	c.send(wsproto.Ping())
}

// latePause is how late a timer has to be for the process, or the machine, to count as paused. A loop that is merely busy
// is late by milliseconds.
const latePause = time.Second

// grace is the time that a client has for its pong.
func (c *Config) grace() time.Duration { return c.PongWait - c.PingInterval }

// detectPause extends deadlines after the process was paused (a paused container, a suspended machine, no processor time).
// What clients sent meanwhile is still to be read, and pings that were not sent could not be answered. Without it a pause
// longer than PongWait would end every connection.
func (l *loop) detectPause(now time.Duration) {
	late := now - l.server.moment(l.armed)
	if l.armed != 0 && late > min(latePause, l.server.cfg.grace()) {
		l.graceUntil = now + l.server.cfg.grace()
	}
}

// extendDeadlines moves the deadlines of an open connection that passed during a pause: it is pinged now and has until
// graceUntil to answer, and WriteWait starts over.
func (c *conn) extendDeadlines(now time.Duration) {
	cfg := &c.loop.server.cfg
	if heard := c.loop.graceUntil - cfg.PongWait; c.lastRead.ago(now) > now-heard {
		c.lastRead, c.lastPing = instantOf(heard), instantOf(now-cfg.PingInterval)
	}
	if c.extra != nil {
		c.extra.began = instantOf(now)
	}
	if c.stalled() && c.out.Progress.Idle(now) >= cfg.WriteWait {
		c.out.Progress.Excuse(now)
	}
}

// After a deploy the first instances that come back get all connections. Config.MaxAge spreads them again, little by
// little.

// ageSpread is the part of Config.MaxAge by which the ages of connections differ, so that clients that came together do
// not leave together.
const ageSpread = 0.2

// maxAgeAt returns when an open connection reaches its maximum age, in time since the server started. For one connection
// it always returns the same.
func (c *conn) maxAgeAt() time.Duration {
	opened := c.loop.server.conns.Opened(c.fd)
	mixed := (uint32(c.fd) ^ uint32(opened/time.Second)<<16) * 2654435761 // Knuth's multiplicative hash
	part := 1 - ageSpread*float64(mixed)/(1<<32)
	return opened + time.Duration(part*float64(c.loop.server.cfg.MaxAge))
}

// closeExpired is the close code of a connection whose token has expired: that of a handshake refused with 401
// (handshake.RejectionCode). The client renews its token before it connects again.
const closeExpired wsproto.CloseCode = 4401

// expireAt sets when the token expires; the zero time is never.
func (c *conn) expireAt(when time.Time) {
	c.expires = 0
	if !when.IsZero() {
		c.expires = uint32(min(max(when.Unix(), 1), math.MaxUint32)) // the year 2106
	}
}

// expired reports whether the token has expired, by the wall clock, as tokens do: when that is set forward, the connection
// ends at its next timer.
func (c *conn) expired() bool { return c.expires != 0 && c.untilExpiry() <= 0 }

func (c *conn) untilExpiry() time.Duration {
	return time.Unix(int64(c.expires), 0).Sub(c.loop.server.cfg.Now())
}
