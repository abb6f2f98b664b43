package netpoll

import (
	"time"

	"roost/hub"
)

// delays measures what notifications take from Redis to the kernel. It is the
// loop's, and lent out with each write queue.
//
// The clock is read once for each write, when the kernel has taken what it takes:
// 25 ns beside the 2.8 µs that a delivery costs.
type delays struct {
	now  time.Duration // by the hub's clock: when the kernel took what is noted
	took histogram
}

// note counts a notification whose last byte the kernel has taken. A nil d does
// nothing: the server's own health checks are in no count.
func (d *delays) note(n *hub.Notification) {
	if d != nil {
		d.took.observe(d.now - n.Arrived)
	}
}
