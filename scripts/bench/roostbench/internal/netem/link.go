package netem

import (
	"math/rand/v2"
	"time"
)

// Link is one direction of a path. The zero value is as fast as the relay.
type Link struct {
	Delay time.Duration // of every packet, half of the round trip
	Rate  int           // bytes a second; 0: no bound
	Queue int           // bytes that wait for the rate before packets are dropped, as in a router; 0: no bound
	Loss  float64       // share of packets that are lost, 0 to 1
}

// pipe decides what happens to each packet of a direction. It holds no packets. One goroutine uses it.
type pipe struct {
	link      Link
	random    *rand.Rand
	busyUntil time.Time // when the last packet admitted has left the queue
}

// admit returns when a packet of size bytes arrives at the other end, or false where it is dropped. Packets that are
// admitted arrive in order.
func (p *pipe) admit(now time.Time, size int) (time.Time, bool) {
	left := now
	if p.link.Rate > 0 {
		left = later(now, p.busyUntil)
		waiting := int(left.Sub(now).Seconds() * float64(p.link.Rate))
		if p.link.Queue > 0 && waiting+size > p.link.Queue {
			return time.Time{}, false
		}
		left = left.Add(time.Duration(float64(size) / float64(p.link.Rate) * 1e9))
		p.busyUntil = left
	}
	if p.link.Loss > 0 && p.random.Float64() < p.link.Loss { // it has taken its time on the wire all the same
		return time.Time{}, false
	}
	return left.Add(p.link.Delay), true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
