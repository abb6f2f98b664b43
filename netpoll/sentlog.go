package netpoll

import (
	"iter"
	"time"

	"roost/hub"
	"roost/netpoll/internal/meter"
)

// sentLog is the log of the notifications that a loop has sent lately. When a
// connection ends, the kernel says how many of the bytes that it had taken the
// client has not acknowledged, and the log says which notifications these are.
//
// It is a ring for all connections together; those of one are found by a chain from
// the newest back, as LZ77 finds matches. So it costs 12 bytes a notification for as
// long as its entries are of use, 1.5 MiB at most, and a connection nothing. It
// belongs to its loop. The zero value is empty; keep has to be set.
type sentLog struct {
	keep    time.Duration      // for which an entry is of use
	entries []sentEntry        // the one at position p is at p modulo its length, a power of two
	next    uint32             // the position of the next entry, modulo 2^32
	filled  uint32             // how many before next there are
	dropped bool               // there have been more
	heads   [sentChains]uint32 // the position of the newest entry of each chain
	marked  time.Duration      // when next was a multiple of minSentLog
}

const (
	sentChains = 1 << 12
	minSentLog = 1 << 10 // entries
	maxSentLog = 1 << 17
)

// sentEntry is one notification.
type sentEntry struct {
	fd   int32  // of its connection
	end  uint32 // how many bytes were written to the connection with its last one, modulo 2^32
	back uint32 // how far back in the ring the chain goes on
}

// note enters a notification that was sent at a moment.
func (g *sentLog) note(fd int32, end uint32, now time.Duration) {
	if g.next%minSentLog == 0 {
		g.resize(now)
	}
	head := &g.heads[fd%sentChains]
	g.entries[g.at(g.next)] = sentEntry{fd, end, g.next - *head}
	*head = g.next
	g.next++
	if int(g.filled) < len(g.entries) {
		g.filled++
	} else {
		g.dropped = true
	}
}

// begin notes that a descriptor is another connection's from now on, to which
// nothing has been written. That takes an entry only where there are some of the one
// before: connections that get nothing cost nothing.
func (g *sentLog) begin(fd int32, now time.Duration) {
	for e := range g.chain(fd) {
		if e.end != 0 {
			g.note(fd, 0, now)
		}
		return
	}
}

// after returns how many notifications of a connection ended behind the first acked
// bytes that were written to it, and whether the log goes back far enough to know
// that there are no more.
func (g *sentLog) after(fd int32, acked uint32) (n int, all bool) {
	for e := range g.chain(fd) {
		if int32(e.end-acked) <= 0 {
			return n, true
		}
		n++
	}
	return n, !g.dropped
}

// chain yields the entries of a descriptor, the newest first.
func (g *sentLog) chain(fd int32) iter.Seq[sentEntry] {
	return func(yield func(sentEntry) bool) {
		back := uint64(g.next - g.heads[fd%sentChains])
		for back > 0 && back <= uint64(g.filled) {
			e := g.entries[g.at(g.next-uint32(back))]
			if e.fd == fd && !yield(e) || e.back == 0 {
				return
			}
			back += uint64(e.back)
		}
	}
}

// resize has the ring grow while it does not go back for keep, and shrink when it
// goes back for much longer, going by how long the last minSentLog entries took.
func (g *sentLog) resize(now time.Duration) {
	took := max(now-g.marked, 1)
	g.marked = now
	want := minSentLog * (1 + int64(g.keep/took)) // that many come while one is of use
	size := int64(len(g.entries))
	switch {
	case size == 0:
		g.copyTo(make([]sentEntry, minSentLog))
	case want > size && size < maxSentLog && int64(g.filled) == size:
		g.copyTo(make([]sentEntry, 2*size))
	case 4*want < size:
		g.copyTo(make([]sentEntry, size/2))
	}
}

// copyTo replaces the ring, keeping as much as there is room for.
func (g *sentLog) copyTo(ring []sentEntry) {
	old := *g
	if g.entries = ring; int(g.filled) > len(ring) {
		g.filled, g.dropped = uint32(len(ring)), true
	}
	for p := g.next - g.filled; p != g.next; p++ {
		g.entries[g.at(p)] = old.entries[old.at(p)]
	}
}

// at returns where the entry at a position is.
func (g *sentLog) at(position uint32) uint32 { return position & uint32(len(g.entries)-1) }

// sentTracker is told of each notification whose last byte the kernel has taken. It
// is the loop's, and every write queue of the loop has it.
type sentTracker struct {
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

// beginWrite begins the departures of one write, after which written bytes were written
// to the connection.
func (d *sentTracker) beginWrite(c *conn, now time.Duration) {
	d.fd, d.written, d.delays.now = c.fd, c.written, now
}

// note takes down a notification that has left with the write, and behind which so
// many bytes of the write follow. A nil d does nothing: the server's own health checks
// are in no count.
func (d *sentTracker) note(n *hub.Notification, behind int) {
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

// openFD notes that a descriptor is another connection's from now on.
func (d *sentTracker) openFD(fd int32, now time.Duration) {
	d.log.begin(fd, now)
}

// closeFD ends a connection of which the first acked bytes were acknowledged, and
// returns how many of its notifications were not, and whether there are no more.
func (d *sentTracker) closeFD(fd int32, acked uint32) (unacked int, all bool) {
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

// delays measures what notifications take from Redis to the kernel. It is the
// loop's, and lent out with each write queue.
//
// The clock is read once for each write, when the kernel has taken what it takes:
// 25 ns beside the 2.8 µs that a delivery costs. What came together and leaves
// together is counted together.
type delays struct {
	took meter.Histogram // any goroutine reads

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
		d.took.Observe(d.now-d.arrived, d.noted)
		d.noted = 0
	}
}
