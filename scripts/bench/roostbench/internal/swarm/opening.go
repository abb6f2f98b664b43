package swarm

import "time"

// opening is what a loop still has to open, and how fast.
type opening struct {
	queue    []*conn
	pace     Pace // this loop's share
	inFlight int
	start    time.Time // of the queue
	begun    int       // since start
}

// due is how many may be begun now.
func (o *opening) due(now time.Time) int {
	n := min(len(o.queue), o.pace.InFlight-o.inFlight)
	if o.pace.Rate > 0 {
		n = min(n, int(now.Sub(o.start).Seconds()*o.pace.Rate)+1-o.begun)
	}
	return max(n, 0)
}

// wait is the timeout for epoll, in milliseconds: for ever unless the rate is
// what holds the next connection back.
func (o *opening) wait(now time.Time) int {
	if len(o.queue) == 0 || o.inFlight >= o.pace.InFlight {
		return -1
	}
	if o.due(now) > 0 {
		return 0
	}
	return 1
}

// openSome begins what is due, a bounded number, so that those that are open
// are not forgotten meanwhile.
func (l *loop) openSome() {
	o := &l.opening
	for range min(o.due(time.Now()), 64) {
		c := o.queue[0]
		o.queue = o.queue[1:]
		o.begun++
		o.inFlight++
		c.asked = true
		if err := c.begin(); err != nil {
			c.state = connecting
			l.ended(c, err)
		}
	}
}
