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

// timerBatch is how many timers a loop fires before it looks at its sockets, tasks and mail again. After a pause a ping is due for
// every connection, and a process that gets too little of the processor would otherwise have more of them in each turn than in
// the one before, until the watchdog ends it.
const timerBatch = 128

// runTimers fires timers that are due.
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
	l.wheel.AdvanceSome(wheel.Tick(now/l.server.tickLength), timerBatch, func(c *conn) { c.onTimer(now) })
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
		l.poll.wake() // it would sleep for too long
	}
}

// onTimer does what is due for a connection, and sets its timer again. Deadlines may have moved since the timer was set:
// then nothing is due.
func (c *conn) onTimer(now time.Duration) {
	l := c.loop
	defer c.guard()
	cfg := &l.server.cfg
	switch {
	case c.state == stateRequest || c.state == stateTLS:
		c.extra.hs.respondHeadError(handshake.RefuseTimeout(), ReasonHandshake)
		return
	case c.state == stateAuthenticating:
		c.extra.hs.authTimedOut()
		return
	case c.state == stateSubscribing:
		c.extra.hs.subscribed(false)
		return
	case c.state == stateClosing || c.state == stateLingering:
		c.extra.closing.onTimer(now)
		return
	}
	if c.stream {
		c.hearAcks(now)
	}
	if now < l.graceUntil {
		c.extendDeadlines(now)
	}
	switch {
	case c.stalled() && c.out.timedOut(now, cfg.WriteWait):
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
	if k := c.renewal(); k != nil && now >= k.deadline {
		if k.timedOut(); c.state != stateOpen {
			return
		}
	}
	if c.expires != 0 && c.expiresIn(now) <= 0 {
		c.closePlanned(ReasonExpired, closeExpired, "token expired")
		return
	}
	if cfg.MaxAge > 0 && now >= c.maxAgeAt() {
		// The client comes back to whichever instance has room.
		c.closePlanned(ReasonAge, wsproto.CloseGoingAway, "connected for long: connect again")
		return
	}
	if c.lastPing.ago(now) >= cfg.PingInterval {
		l.inbound.Tidy(c, now)
		l.renewed.Tidy(c, now)
		c.sendPing()
		// From now, not from when it was due: after a pause of the machine one ping is enough.
		c.lastPing = instantOf(now)
	}
	c.resetTimer(now)
}

// resetTimer sets an open connection's timer to its next deadline. An event that only moves a deadline away, like a frame
// from the client, does not set the timer.
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
		wait = min(wait, c.expiresIn(now))
	}
	if k := c.renewal(); k != nil {
		wait = min(wait, k.deadline-now)
	}
	if c.extra != nil {
		wait = min(wait, cfg.PongWait-c.unfinishedFor(now))
	}
	when := now + wait
	if cfg.MaxAge > 0 {
		when = min(when, c.maxAgeAt())
	}
	if c.stalled() {
		when = min(when, c.out.nextAckPoll(cfg.WriteWait))
	}
	c.setTimer(when)
}

// sendPing sends a ping, ahead of the notifications that wait: so a client that is slow but reads is asked in time. An event
// stream gets a heartbeat.
func (c *conn) sendPing() {
	c.loop.stats.Pings.Add(1)
	if c.stream {
		c.sendHeartbeat()
		return
	}
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
// Data that clients sent meanwhile is still to be read, and pings that were not sent could not be answered. Without it a
// pause longer than PongWait would end every connection.
func (l *loop) detectPause(now time.Duration) {
	late := now - l.server.moment(l.armed)
	if l.armed != 0 && late > min(latePause, l.server.cfg.grace()) {
		l.graceUntil = now + l.server.cfg.grace()
	}
}

// extendDeadlines moves the deadlines of an open connection that passed during a pause: it is pinged now and has until
// graceUntil to answer. The time for messages that are not complete, and for clients that take nothing, starts over once, at
// the end of the pause: it has to run out also on a machine that pauses the process now and then.
func (c *conn) extendDeadlines(now time.Duration) {
	cfg := &c.loop.server.cfg
	pauseEnded := c.loop.graceUntil - cfg.grace()
	if heard := c.loop.graceUntil - cfg.PongWait; c.lastRead.ago(now) > now-heard {
		c.lastRead, c.lastPing = instantOf(heard), instantOf(now-cfg.PingInterval)
	}
	if c.extra != nil && c.extra.began.ago(now) > now-pauseEnded {
		c.extra.began = instantOf(pauseEnded)
	}
	if c.stalled() {
		c.out.Progress.Excuse(pauseEnded)
	}
}

// After a deploy the first instances that come back get all connections. Config.MaxAge spreads them again, little by
// little.

// ageSpread is the part of Config.MaxAge by which the ages of connections differ, so that clients that came together do
// not leave together.
const ageSpread = 0.2

// maxAgeAt returns when an open connection reaches its maximum age, in time since the server started. For one connection it always
// returns the same, in the next process too.
func (c *conn) maxAgeAt() time.Duration {
	s := c.loop.server
	opened := s.conns.Opened(c.fd)
	mixed := uint32(opened/time.Second) << 16
	for _, b := range []byte(c.link.User()) {
		mixed = (mixed ^ uint32(b)) * 16777619 // FNV-1a
	}
	mixed *= 2654435761 // Knuth's multiplicative hash
	part := 1 - ageSpread*float64(mixed)/(1<<32)
	return opened + time.Duration(part*float64(s.cfg.MaxAge))
}

// closeExpired is the close code of a connection whose token has expired: that of a handshake refused with 401
// (handshake.RejectionCode). The client renews its token before it connects again.
const closeExpired wsproto.CloseCode = 4401

// expiry is when a token expires, in Unix seconds; 0 is never.
type expiry uint32

// expiryOf returns the expiry at a time; the zero time is never.
func expiryOf(when time.Time) expiry {
	if when.IsZero() {
		return 0
	}
	return expiry(min(max(when.Unix(), 1), math.MaxUint32)) // the year 2106
}

// left returns how long a token that expires is good from now on. now is the wall clock's, as the times in tokens are: when
// that is set forward, the connection ends at its next timer.
func (e expiry) left(now time.Time) time.Duration { return time.Unix(int64(e), 0).Sub(now) }
