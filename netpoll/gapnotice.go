package netpoll

import (
	"math"
	"time"

	"roost/wsproto"
)

// A gap is told to the client where Config.GapNotice says so: it can't know by
// itself that it missed something, and can fetch what it missed elsewhere.

// Why notifications were lost, in a notice's "reason".
const (
	gapSlow  = "slow_consumer" // there was no room for them
	gapRedis = "redis"         // the feed was away
)

// noticeEvery is the least time between two notices to a client that is slow
// without end.
const noticeEvery = time.Second

// gapFrame builds the notice.
func gapFrame(reason string, since time.Time) []byte {
	text := `{"type":"_gap","payload":{"reason":"` + reason + `","since":"` +
		since.UTC().Format("2006-01-02T15:04:05.000Z") + `"}}`
	return append(wsproto.AppendTextHeader(nil, len(text)), text...)
}

// noteLoss is called when a notification was dropped for want of room. The notice
// leaves before what waits, as soon as the client takes anything.
func (l *loop) noteLoss(c *conn) {
	if !l.server.cfg.GapNotice || c.probe {
		return
	}
	if c.out.lostSince.IsZero() {
		c.out.lostSince = l.server.cfg.Now()
	}
	if told := c.out.told; told == 0 || l.server.now()-told >= noticeEvery {
		l.giveNotice(c)
	}
}

// tellLoss gives notice of a loss that is not told yet, and reports whether there
// was one. It is called when everything else is written.
func (l *loop) tellLoss(c *conn) bool {
	if c.out.lostSince.IsZero() || c.state != stateOpen {
		return false
	}
	l.giveNotice(c)
	return true
}

func (l *loop) giveNotice(c *conn) {
	if c.out.notice == nil {
		l.stats.notices.Add(1)
		c.out.notice = gapFrame(gapSlow, c.out.lostSince)
	}
	c.out.told = l.server.now()
	c.out.lostSince = time.Time{}
}

// TellGap gives notice to every connection that is open now that notifications may
// be lost since a time, because the feed was away. It does nothing
// unless Config.GapNotice is set, and returns at once: the loops tell a few
// connections at a time, between their other work. Any goroutine.
func (s *Server) TellGap(since time.Time) {
	if !s.cfg.GapNotice {
		return
	}
	frame := gapFrame(gapRedis, since)
	for _, l := range s.loops {
		l.do(func() { l.round.begin(l, frame) })
	}
}

// TellGapTo is TellGap for the connections of one user, each of which is told by itself. Any goroutine but a loop's.
func (s *Server) TellGapTo(user string, since time.Time) {
	if !s.cfg.GapNotice {
		return
	}
	frame := gapFrame(gapRedis, since)
	conns, _ := s.cfg.Hub.ConnsOf(user, math.MaxInt)
	for _, one := range conns {
		if c, ok := one.(*conn); ok && !c.probe {
			c.loop.do(func() { c.loop.tell(c, frame) })
		}
	}
}

const (
	roundBatch = 64                   // connections that a round tells at a time
	roundPause = 4 * time.Millisecond // between two of these
)

// round is a walk through all connections of a loop, to tell each the same. A
// hundred thousand writes in a row would stand in everything's way.
type round struct {
	frame []byte
	left  []*conn
	next  time.Duration // when to go on
}

// begin starts a round, in place of one that is under way: its message is the
// older one.
func (r *round) begin(l *loop, frame []byte) {
	r.frame, r.left, r.next = frame, r.left[:0], 0
	l.wheel.each(func(c *conn) {
		if c.state == stateOpen && !c.probe {
			r.left = append(r.left, c)
		}
	})
}

// goOn tells the next few, if it is time.
func (r *round) goOn(l *loop) {
	if len(r.left) == 0 || l.server.now() < r.next {
		return
	}
	for range min(roundBatch, len(r.left)) {
		last := len(r.left) - 1
		c := r.left[last]
		r.left[last], r.left = nil, r.left[:last]
		l.tell(c, r.frame)
	}
	r.next = l.server.now() + roundPause
	if len(r.left) == 0 {
		*r = round{}
	}
}

// tell sends a notice to a connection that is still open.
func (l *loop) tell(c *conn, frame []byte) {
	defer l.guard(c)
	if c.state != stateOpen {
		return
	}
	l.stats.notices.Add(1)
	if c.out != nil {
		c.out.notice = frame
		return
	}
	l.sendNow(c, frame)
}

// timeout shortens a wait, in milliseconds, to the round's next step.
func (r *round) timeout(l *loop, wait int) int {
	if len(r.left) == 0 {
		return wait
	}
	step := max(0, int((r.next-l.server.now()+time.Millisecond-1)/time.Millisecond))
	if wait < 0 {
		return step
	}
	return min(wait, step)
}
