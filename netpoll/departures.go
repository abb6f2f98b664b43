package netpoll

import (
	"time"

	"roost/hub"
)

// departures is told of each notification whose last byte the kernel has taken. It
// is the loop's, and every write queue of the loop has it.
type departures struct {
	delays delays
	log    sentLog
	traced []tracedSend // the last few of notifications that are watched

	// Of the write under way.
	fd      int32
	written uint32 // bytes written to the connection so far, modulo 2^32
}

// tracedSend is a notification that somebody watches, on its way to one connection.
type tracedSend struct {
	trace *hub.Trace
	fd    int32
	end   uint32 // as in sentEntry
}

// keptTraced is how many of these are remembered.
const keptTraced = 64

// write begins the departures of one write, after which written bytes were written
// to the connection.
func (d *departures) write(c *conn, now time.Duration) {
	d.fd, d.written, d.delays.now = c.fd, c.written, now
}

// note takes down a notification that has left with the write, and behind which so
// many bytes of the write follow. A nil d does nothing: the server's own health checks
// are in no count.
func (d *departures) note(n *hub.Notification, behind int) {
	if d == nil {
		return
	}
	d.delays.note(n)
	end := d.written - uint32(behind)
	d.log.note(d.fd, end, d.delays.now)
	if n.Trace != nil {
		if len(d.traced) == keptTraced {
			d.traced = append(d.traced[:0], d.traced[1:]...)
		}
		d.traced = append(d.traced, tracedSend{n.Trace, d.fd, end})
	}
}

// open notes that a descriptor is another connection's from now on.
func (d *departures) open(fd int32, now time.Duration) {
	d.log.begin(fd, now)
}

// close ends a connection of which the first acked bytes were acknowledged, and
// returns how many of its notifications were not, and whether there are no more.
func (d *departures) close(fd int32, acked uint32) (unacked int, all bool) {
	left := d.traced[:0]
	for _, t := range d.traced {
		switch {
		case t.fd != fd:
			left = append(left, t)
		case int32(t.end-acked) > 0:
			t.trace.Unacknowledged()
		}
	}
	clear(d.traced[len(left):])
	d.traced = left
	return d.log.after(fd, acked)
}
