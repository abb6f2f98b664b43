package netpoll

import (
	"math"
	"time"

	"roost/hub"
	"roost/wsproto"
)

// With Config.GapNotice a client is told of a gap, that is, that it has missed notifications: it can't know by itself, and
// can fetch them elsewhere.
//
// A connection may have one notice for each reason waiting. A gap that is found while the notice of an earlier one waits
// becomes part of it: the notice then names the earlier time.

// gapReason is why notifications were lost.
type gapReason uint8

const (
	gapSlow      gapReason = iota // the send queue was full: the client was slow
	gapFull                       // the send queue was full: more came at once than may wait
	gapRedis                      // the feed was disconnected
	gapBroadcast                  // too many broadcasts waited
	gapResume                     // the client came back, and can't get what it missed
	gapReasons
)

// String is a notice's "reason".
func (r gapReason) String() string {
	return [gapReasons]string{"slow_consumer", "queue_full", "redis", "broadcast", "resume"}[r]
}

// noticeEvery is the least time between two notices to a client that stays slow.
const noticeEvery = time.Second

// gaps are the gaps that a client has not been told of, by reason: since when, as Unix time in milliseconds; 0 is none.
type gaps [gapReasons]int64

// add notes a gap, and reports whether it is the first of its reason.
func (g *gaps) add(reason gapReason, since time.Time) (first bool) {
	ms := since.UnixMilli() // rounds down: a notice may name an earlier time than the loss, not a later one
	first = g[reason] == 0
	if first || ms < g[reason] {
		g[reason] = ms
	}
	return first
}

// frames returns the notices of all gaps.
func (g *gaps) frames() []byte {
	var b []byte
	for reason, ms := range g {
		if ms != 0 {
			b = appendGap(b, gapReason(reason), time.UnixMilli(ms))
		}
	}
	return b
}

// noticeTime is how clients are told times, to the millisecond.
const noticeTime = "2006-01-02T15:04:05.000Z"

// appendGap appends one notice. Format rounds the time down to the millisecond, as it should.
func appendGap(b []byte, reason gapReason, since time.Time) []byte {
	text := `{"type":"_gap","payload":{"reason":"` + reason.String() + `","since":"` +
		since.UTC().Format(noticeTime) + `"}}`
	return append(wsproto.AppendTextHeader(b, len(text)), text...)
}

// gapState says of which losses a client has been told.
type gapState struct {
	untold    gaps          // in the notice that waits
	lostSince time.Time     // the first loss that is in no notice; zero: none
	lostSlow  bool          // the client was slow at one of these losses
	told      time.Duration // the last notice, in time since the server started; 0: none
}

// noteLoss notes that a notification was dropped because there was no room. The notice leaves before what waits, as soon as
// the client takes anything.
func (q *outQueue) noteLoss(l *loop, n *hub.Notification, slow bool) {
	since := l.server.cfg.Now()
	if n.After != 0 { // it was published earlier, and may have been on its way for long
		since = time.UnixMilli(min(n.After, since.UnixMilli()))
	}
	if q.lostSince.IsZero() || since.Before(q.lostSince) {
		q.lostSince = since
	}
	q.lostSlow = q.lostSlow || slow
	if q.told == 0 || l.server.now()-q.told >= noticeEvery {
		q.queueLossNotice(l)
	}
}

// queueLossNotice queues the notice of the losses since the last one: when the client has taken everything else, and once
// in noticeEvery before.
func (q *outQueue) queueLossNotice(l *loop) {
	reason := gapFull
	if q.lostSlow {
		reason = gapSlow
	}
	q.queueNotice(l, reason, q.lostSince)
	q.told = l.server.now()
	q.lostSince, q.lostSlow = time.Time{}, false
}

// queueNotice queues the notice of a gap, with those that wait, ahead of the notifications.
func (q *outQueue) queueNotice(l *loop, reason gapReason, since time.Time) {
	if q.Notice == nil { // the last one has left
		q.untold = gaps{}
	}
	if q.untold.add(reason, since) {
		l.stats.GapNotices.Add(1)
	}
	if q.Notice = q.untold.frames(); q.stream {
		q.Notice = wsproto.AppendEvents(nil, q.Notice)
	}
}

// NotifyGap tells every connection that is open now that it may have missed notifications since a time, because the feed
// was disconnected. It does nothing unless Config.GapNotice is set, and returns at once: the loops tell a few connections
// at a time, between their other work. Any goroutine.
func (s *Server) NotifyGap(since time.Time) {
	if !s.cfg.GapNotice {
		return
	}
	for _, l := range s.loops {
		l.do(func() { l.gapRound.start(l, since) })
	}
}

// NotifyGapTo is NotifyGap for the connections of one user. Any goroutine but a loop's.
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

// Missed implements hub.Conn: a broadcast was dropped.
func (c *conn) Missed(since time.Time) {
	l := c.loop
	if l.server.cfg.GapNotice && !c.selfCheck {
		l.do(func() { c.sendGapNotice(gapBroadcast, since, appendGap(nil, gapBroadcast, since)) })
	}
}

const (
	gapBatch = 64                   // connections that are told at a time
	gapPause = 4 * time.Millisecond // between two batches
)

// gapRound tells all connections of a loop of a gap, a batch at a time: a hundred thousand writes in a row would hold up
// everything else.
type gapRound struct {
	since time.Time
	frame []byte
	left  []*conn
	next  time.Duration // when the next batch is due
	again time.Time     // the gap of the next round; zero: there is none
}

// start starts a round. If one is running it goes on, so that each connection is told of the older gap too and none is
// always last; the newer gap is told in the next round.
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

// takeOver adds a connection that another process was about to tell of a gap. All are told of the oldest.
func (r *gapRound) takeOver(c *conn, since time.Time) {
	if len(r.left) == 0 || since.Before(r.since) {
		r.since, r.frame = since, appendGap(nil, gapRedis, since)
	}
	r.left = append(r.left, c)
}

// step tells the next batch, if it is due.
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

// sendGapNotice tells an open connection of a gap. frame is the notice of this gap alone.
func (c *conn) sendGapNotice(reason gapReason, since time.Time, frame []byte) {
	defer c.guard()
	if c.state != stateOpen {
		return
	}
	if c.out != nil {
		c.out.queueNotice(c.loop, reason, since)
		return
	}
	c.loop.stats.GapNotices.Add(1)
	c.send(c.translated(frame))
}

// timeout shortens a wait, in milliseconds, to the next batch.
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
