package netpoll

import (
	"time"

	"roost/hub"
)

// delays measures what notifications take from Redis to the kernel. It is the
// loop's, and lent out with each write queue.
//
// The clock is read once for each write, when the kernel has taken what it takes:
// 25 ns beside the 2.8 µs that a delivery costs. What came together and leaves
// together is counted together.
type delays struct {
	took histogram // any goroutine reads

	now     time.Duration // by the hub's clock: when the kernel took what is noted
	arrived time.Duration // by the same: when what is noted came from Redis
	noted   int
}

// note takes down a notification whose last byte the kernel has taken by now, to be
// counted. A nil d does nothing: the server's own health checks are in no count.
func (d *delays) note(n *hub.Notification) {
	if d == nil {
		return
	}
	if n.Arrived != d.arrived {
		d.count()
		d.arrived = n.Arrived
	}
	d.noted++
}

// count counts what is noted.
func (d *delays) count() {
	if d.noted > 0 {
		d.took.observe(d.now-d.arrived, d.noted)
		d.noted = 0
	}
}
