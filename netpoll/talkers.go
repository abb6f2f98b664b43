package netpoll

import (
	"maps"
	"time"

	"roost/wsproto"
)

// talkers keeps who has sent more lately than a client of a server that only
// sends has reason to. Only they are in it; a client that answers pings never is.
type talkers struct {
	whole map[*conn]time.Duration // when the connection's allowance is whole again
	most  int                     // entries that the map has had since it was made

	rate, burst int // by which whole was counted
}

// keptTalkers bounds the room for talkers that is kept when they have gone.
const keptTalkers = 64

// quietFor is after how long a silence a client may say one thing that is not
// counted, such as the answer to a ping.
const quietFor = time.Second

// charge counts one thing that c has sent, and reports whether it was within its
// rate (GCRA: each thing moves the moment when the allowance is whole again by a
// rate's interval, and that may be a burst ahead).
//
// What was counted by another rate is forgotten: by a higher one, with shorter
// intervals, it would be more than a burst.
func (t *talkers) charge(c *conn, now time.Duration, rate, burst int) bool {
	if rate != t.rate || burst != t.burst {
		*t = talkers{rate: rate, burst: burst}
	}
	if t.whole == nil {
		t.whole = make(map[*conn]time.Duration)
	}
	interval := time.Second / time.Duration(rate)
	whole := max(t.whole[c], now) + interval
	t.whole[c] = whole
	t.most = max(t.most, len(t.whole))
	return whole-now <= interval*time.Duration(burst)
}

// quiet forgets c if its allowance is whole.
func (t *talkers) quiet(c *conn, now time.Duration) {
	if whole, ok := t.whole[c]; ok && whole <= now {
		t.forget(c)
	}
}

// forget forgets c. A map keeps the size that it once had: after a flood the few
// that are left get a new one.
func (t *talkers) forget(c *conn) {
	delete(t.whole, c)
	if t.most <= keptTalkers || len(t.whole) > t.most/4 {
		return
	}
	left := make(map[*conn]time.Duration, len(t.whole))
	maps.Copy(left, t.whole)
	t.whole, t.most = left, len(left)
}

// mayTalk counts one thing that c has sent, and ends the connection, reporting
// false, where that was too much.
func (c *conn) mayTalk() bool {
	l := c.loop
	rules := l.server.rules.Load()
	if rules.MessageRate <= 0 {
		return true
	}
	if l.talkers.charge(c, l.server.now(), rules.MessageRate, rules.MessageBurst) {
		return true
	}
	c.closeWith(ReasonTooFast, wsproto.AppendClose(l.scratch[:0], wsproto.ClosePolicy, "too many messages"))
	return false
}
