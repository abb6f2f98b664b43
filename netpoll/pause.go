package netpoll

import "time"

// latePause is how late a timer fires if the process, or the machine, stood
// still. A loop that is merely busy is late by milliseconds.
const latePause = time.Second

// grace is how long after a ping a client has to be heard of at least.
func (c *Config) grace() time.Duration { return c.PongWait - c.PingInterval }

// notePause has the loop be lenient for a while after the server was absent (a
// paused container, a suspended machine, no processor time): what clients said
// meanwhile is still to be read, and what they were not asked they could not
// answer. Without it a pause longer than PongWait would end every connection.
func (l *loop) notePause(now time.Duration) {
	late := now - l.server.moment(l.armed)
	if l.armed != 0 && late > min(latePause, l.server.cfg.grace()) {
		l.mercy = now + l.server.cfg.grace()
	}
}

// pardon moves the deadlines of an open connection that passed during the pause:
// it is pinged now and has until l.mercy to be heard of, and WriteWait begins
// anew.
func (l *loop) pardon(c *conn, now time.Duration) {
	cfg := &l.server.cfg
	if heard := l.mercy - cfg.PongWait; c.heard.ago(now) > now-heard {
		c.heard, c.pinged = instantOf(heard), instantOf(now-cfg.PingInterval)
	}
	if c.part != nil {
		c.part.began = instantOf(now)
	}
	if c.stalled() && c.out.progress.idle(now) >= cfg.WriteWait {
		c.out.progress.taken = now
	}
}
