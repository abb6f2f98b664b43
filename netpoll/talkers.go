package netpoll

import (
	"time"

	"roost/wsproto"
)

// talkers keeps who has sent more lately than a client of a server that only
// sends has reason to: when the connection's allowance is whole again. Only they
// are in it; a client that answers pings never is.
type talkers map[*conn]time.Duration

// quietFor is after how long a silence a client may say one thing that is not
// counted, such as the answer to a ping.
const quietFor = time.Second

// charge counts one thing that c has sent, and reports whether it was within its
// rate (GCRA: each thing moves the moment when the allowance is whole again by a
// rate's interval, and that may be a burst ahead).
func (t talkers) charge(c *conn, now time.Duration, rate, burst int) bool {
	interval := time.Second / time.Duration(rate)
	whole := max(t[c], now) + interval
	t[c] = whole
	return whole-now <= interval*time.Duration(burst)
}

// quiet forgets c if its allowance is whole.
func (t talkers) quiet(c *conn, now time.Duration) {
	if whole, ok := t[c]; ok && whole <= now {
		delete(t, c)
	}
}

// mayTalk counts one thing that c has sent, and ends the connection, reporting
// false, where that was too much.
func (l *loop) mayTalk(c *conn) bool {
	cfg := &l.server.cfg
	if cfg.MessageRate <= 0 {
		return true
	}
	if l.talkers == nil {
		l.talkers = make(talkers)
	}
	if l.talkers.charge(c, l.server.now(), cfg.MessageRate, cfg.MessageBurst) {
		return true
	}
	l.end(c, ReasonTooFast, wsproto.AppendClose(l.scratch[:0], wsproto.ClosePolicy, "too many messages"))
	return false
}
