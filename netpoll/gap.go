package netpoll

import (
	"math"
	"time"

	"roost/hub"
	"roost/wsproto"
)

// A gap is told to the client where Config.GapNotice says so: it can't know by
// itself that it missed something, and can fetch what it missed elsewhere.
//
// What was lost for one reason says nothing of the other, so a connection may have
// one notice of each kind waiting. A gap that is found while the notice of an earlier
// one still waits is told with it: since is the earlier time of the two.

// gapReason is why notifications were lost.
type gapReason uint8

const (
	gapSlow      gapReason = iota // there was no room for them: the client was slow
	gapFull                       // the same: more came at once than may wait
	gapRedis                      // the feed was away
	gapBroadcast                  // of those for everyone or a group too many waited
	gapReasons
)

// String is a notice's "reason".
func (r gapReason) String() string {
	return [gapReasons]string{"slow_consumer", "queue_full", "redis", "broadcast"}[r]
}

// noticeEvery is the least time between two notices to a client that is slow
// without end.
const noticeEvery = time.Second

// gaps are the gaps that no client was told of yet, by their reason: since when, as
// Unix time in milliseconds; 0 is none.
type gaps [gapReasons]int64

// add notes a gap, and reports whether it is the first of its reason.
func (g *gaps) add(reason gapReason, since time.Time) (first bool) {
	ms := since.UnixMilli() // rounds down: a notice may name an earlier time than the loss, never a later one
	first = g[reason] == 0
	if first || ms < g[reason] {
		g[reason] = ms
	}
	return first
}

// frames are the notices of all gaps.
func (g *gaps) frames() []byte {
	var b []byte
	for reason, ms := range g {
		if ms != 0 {
			b = appendGap(b, gapReason(reason), time.UnixMilli(ms))
		}
	}
	return b
}

// appendGap appends one notice. Format cuts the time off at the millisecond, which is the way to round here.
func appendGap(b []byte, reason gapReason, since time.Time) []byte {
	text := `{"type":"_gap","payload":{"reason":"` + reason.String() + `","since":"` +
		since.UTC().Format("2006-01-02T15:04:05.000Z") + `"}}`
	return append(wsproto.AppendTextHeader(b, len(text)), text...)
}

// gapState is what a client was told of losses, and what it was not.
type gapState struct {
	untold    gaps          // what the notice that waits tells of
	lostSince time.Time     // the first loss that no notice tells of; zero: none
	lostSlow  bool          // the client was slow when it lost something since
	told      time.Duration // the last notice, in time since the server started; 0: none
}

// noteGap is called when a notification was dropped for want of room, which may have
// waited before. The notice leaves before what waits, as soon as the client takes
// anything.
func (c *conn) noteGap(n *hub.Notification, slow bool) {
	l := c.loop
	if !l.server.cfg.GapNotice || c.selfCheck {
		return
	}
	since := l.server.cfg.Now()
	if n.After != 0 { // it was published before now, and may have been under way for long
		since = time.UnixMilli(min(n.After, since.UnixMilli()))
	}
	if c.out.lostSince.IsZero() || since.Before(c.out.lostSince) {
		c.out.lostSince = since
	}
	c.out.lostSlow = c.out.lostSlow || slow
	if told := c.out.told; told == 0 || l.server.now()-told >= noticeEvery {
		c.queueLossNotice()
	}
}

// flushGap gives notice of a loss that is not told yet, and reports whether there
// was one. It is called when everything else is written.
func (c *conn) flushGap() bool {
	if c.out.lostSince.IsZero() || c.state != stateOpen {
		return false
	}
	c.queueLossNotice()
	return true
}

func (c *conn) queueLossNotice() {
	reason := gapFull
	if c.out.lostSlow {
		reason = gapSlow
	}
	c.queueGapNotice(reason, c.out.lostSince)
	c.out.told = c.loop.server.now()
	c.out.lostSince, c.out.lostSlow = time.Time{}, false
}

// queueGapNotice has a gap told ahead of what waits for c, together with those that are not told yet.
func (c *conn) queueGapNotice(reason gapReason, since time.Time) {
	if c.out.Notice == nil { // the last one has left
		c.out.untold = gaps{}
	}
	if c.out.untold.add(reason, since) {
		c.loop.stats.notices.Add(1)
	}
	c.out.Notice = c.out.untold.frames()
}

// NotifyGap gives notice to every connection that is open now that notifications may
// be lost since a time, because the feed was away. It does nothing
// unless Config.GapNotice is set, and returns at once: the loops tell a few
// connections at a time, between their other work. Any goroutine.
func (s *Server) NotifyGap(since time.Time) {
	if !s.cfg.GapNotice {
		return
	}
	for _, l := range s.loops {
		l.do(func() { l.gapRound.start(l, since) })
	}
}

// NotifyGapTo is NotifyGap for the connections of one user, each of which is told by itself. Any goroutine but a loop's.
func (s *Server) NotifyGapTo(user string, since time.Time) {
	if !s.cfg.GapNotice {
		return
	}
	frame := appendGap(nil, gapRedis, since)
	conns, _ := s.cfg.Hub.ConnsOf(user, math.MaxInt)
	for _, one := range conns {
		if c, ok := one.(*conn); ok && !c.selfCheck {
			c.loop.do(func() { c.sendGapNotice(gapRedis, since, frame) })
		}
	}
}

// Missed implements hub.Conn.
func (c *conn) Missed(since time.Time) {
	l := c.loop
	if l.server.cfg.GapNotice && !c.selfCheck {
		l.do(func() { c.sendGapNotice(gapBroadcast, since, appendGap(nil, gapBroadcast, since)) })
	}
}

const (
	gapBatch = 64                   // connections that a round tells at a time
	gapPause = 4 * time.Millisecond // between two of these
)

// gapRound is a walk through all connections of a loop, to tell each the same. A
// hundred thousand writes in a row would stand in everything's way.
type gapRound struct {
	since time.Time
	frame []byte
	left  []*conn
	next  time.Duration // when to go on
	again time.Time     // the gap of the round that follows this one; zero: none does
}

// start starts a round. One that is under way goes on, so that each is told of the
// older gap too and nobody is always last; then all are told of the newer.
func (r *gapRound) start(l *loop, since time.Time) {
	if len(r.left) > 0 {
		if r.again.IsZero() || since.Before(r.again) {
			r.again = since
		}
		return
	}
	*r = gapRound{since: since, frame: appendGap(nil, gapRedis, since), left: r.left[:0]}
	l.wheel.Each(func(c *conn) {
		if c.state == stateOpen && !c.selfCheck {
			r.left = append(r.left, c)
		}
	})
}

// step tells the next few, if it is time.
func (r *gapRound) step(l *loop) {
	if len(r.left) == 0 || l.server.now() < r.next {
		return
	}
	for range min(gapBatch, len(r.left)) {
		last := len(r.left) - 1
		c := r.left[last]
		r.left[last], r.left = nil, r.left[:last]
		c.sendGapNotice(gapRedis, r.since, r.frame)
	}
	r.next = l.server.now() + gapPause
	if len(r.left) > 0 {
		return
	}
	again := r.again
	*r = gapRound{}
	if !again.IsZero() {
		r.start(l, again)
	}
}

// sendGapNotice gives notice of a gap to a connection that is still open. frame is that notice by itself.
func (c *conn) sendGapNotice(reason gapReason, since time.Time, frame []byte) {
	defer c.guard()
	if c.state != stateOpen {
		return
	}
	if c.out != nil {
		c.queueGapNotice(reason, since)
		return
	}
	c.loop.stats.notices.Add(1)
	c.send(frame)
}

// timeout shortens a wait, in milliseconds, to the round's next step.
func (r *gapRound) timeout(l *loop, wait int) int {
	if len(r.left) == 0 {
		return wait
	}
	step := max(0, int((r.next-l.server.now()+time.Millisecond-1)/time.Millisecond))
	if wait < 0 {
		return step
	}
	return min(wait, step)
}
