// Package sentlog takes down each notification whose last byte the kernel has taken. So
// it knows what notifications took from Redis to the kernel, and, when a connection
// ends and the kernel says how many of its bytes the client has not acknowledged, which
// notifications these are. It has no clock and does no I/O.
package sentlog

import (
	"time"

	"roost/hub"
	"roost/netpoll/internal/meter"
)

// Log is one loop's, and only its owner may call it, but for AddDelays. Make it with New.
type Log struct {
	delays delays
	ring   ring
	traced []tracedSend // the last few of notifications that are watched

	// Of the write under way.
	fd      int32
	written uint32 // bytes written to the connection so far, modulo 2^32
}

// tracedSend is a notification that somebody watches, on its way to one connection.
type tracedSend struct {
	trace *hub.Trace
	fd    int32
	end   uint32 // how many bytes were written with its last one, modulo 2^32
}

// keptTraced is how many of these are remembered.
const keptTraced = 64

// New makes a log that goes back for keep where there is room, and counts durations by
// buckets with these bounds.
func New(keep time.Duration, bounds []time.Duration) *Log {
	return &Log{ring: ring{keep: keep}, delays: delays{took: meter.NewHistogram(bounds)}}
}

// BeginWrite begins what left with one write to a connection, after which so many bytes
// were written to it, modulo 2^32. now is by the hub's clock.
func (d *Log) BeginWrite(fd int32, written uint32, now time.Duration) {
	d.fd, d.written, d.delays.now = fd, written, now
}

// EndWrite counts what was noted since.
func (d *Log) EndWrite() { d.delays.count() }

// AddDelays adds what notifications took to a sum. Any goroutine.
func (d *Log) AddDelays(sum *meter.Counts) { d.delays.took.AddTo(sum) }

// Note takes down a notification that has left with the write, and behind which so
// many bytes of the write follow. A nil d does nothing: the server's own health checks
// are in no count.
func (d *Log) Note(n *hub.Notification, behind int) {
	if d == nil {
		return
	}
	d.delays.note(n)
	end := d.written - uint32(behind)
	d.ring.note(d.fd, end, d.delays.now)
	if n.Trace != nil {
		if len(d.traced) == keptTraced {
			d.traced = append(d.traced[:0], d.traced[1:]...)
		}
		d.traced = append(d.traced, tracedSend{n.Trace, d.fd, end})
	}
}

// Open notes that a descriptor is another connection's from now on.
func (d *Log) Open(fd int32, now time.Duration) {
	d.ring.begin(fd, now)
}

// TookOver notes that connections came for which notifications were sent that this log has not seen.
func (d *Log) TookOver() { d.ring.dropped = true }

// Close ends a connection of which the first acked bytes were acknowledged, and
// returns how many of its notifications were not, and whether there are no more.
func (d *Log) Close(fd int32, acked uint32) (unacked int, all bool) {
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
	return d.ring.after(fd, acked)
}

// delays measures what notifications take from Redis to the kernel.
//
// The clock is read once for each write, when the kernel has taken what it takes: 25 ns
// beside the 2.8 µs that a delivery costs. Notifications that came together and leave
// together are counted together.
type delays struct {
	took meter.Histogram // any goroutine reads

	now     time.Duration // by the hub's clock: when the kernel took what is noted
	arrived time.Duration // by the same: when what is noted came from Redis
	noted   int
}

// note takes down a notification whose last byte the kernel has taken by now.
func (d *delays) note(n *hub.Notification) {
	if n.Arrived != d.arrived {
		d.count()
		d.arrived = n.Arrived
	}
	d.noted++
}

// count counts what is noted.
func (d *delays) count() {
	if d.noted > 0 {
		d.took.Observe(d.now-d.arrived, d.noted)
		d.noted = 0
	}
}
