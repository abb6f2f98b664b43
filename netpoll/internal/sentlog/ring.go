package sentlog

import (
	"iter"
	"time"
)

// ring says where in its connection's stream each notification ended that was sent
// lately. It is one for all connections together; those of one are found by a chain from
// the newest back, as LZ77 finds matches. So it costs 12 bytes a notification for as
// long as its entries are of use, 1.5 MiB at most, and a connection nothing. The
// zero value is empty; keep has to be set.
type ring struct {
	keep    time.Duration  // for which an entry is of use
	entries []entry        // the one at position p is at p modulo its length, a power of two
	next    uint32         // the position of the next entry, modulo 2^32
	filled  uint32         // how many before next there are
	dropped bool           // there have been more
	heads   [chains]uint32 // the position of the newest entry of each chain
	marked  time.Duration  // when next was a multiple of minEntries
}

const (
	chains     = 1 << 12
	minEntries = 1 << 10 // entries
	maxEntries = 1 << 17
)

// entry is one notification.
type entry struct {
	fd   int32  // of its connection
	end  uint32 // how many bytes were written to the connection with its last one, modulo 2^32
	back uint32 // how far back in the ring the chain goes on
}

// note enters a notification that was sent at a moment.
func (g *ring) note(fd int32, end uint32, now time.Duration) {
	if g.next%minEntries == 0 {
		g.resize(now)
	}
	head := &g.heads[fd%chains]
	g.entries[g.at(g.next)] = entry{fd, end, g.next - *head}
	*head = g.next
	g.next++
	if int(g.filled) < len(g.entries) {
		g.filled++
	} else {
		g.dropped = true
	}
}

// begin notes that a descriptor is another connection's from now on, to which nothing
// has been written. That takes an entry only if there are some of the one before:
// connections that get nothing cost nothing.
func (g *ring) begin(fd int32, now time.Duration) {
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
func (g *ring) after(fd int32, acked uint32) (n int, all bool) {
	for e := range g.chain(fd) {
		if int32(e.end-acked) <= 0 {
			return n, true
		}
		n++
	}
	return n, !g.dropped
}

// chain yields the entries of a descriptor, the newest first.
func (g *ring) chain(fd int32) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		back := uint64(g.next - g.heads[fd%chains])
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
// goes back for much longer, going by how long the last minEntries entries took.
func (g *ring) resize(now time.Duration) {
	took := max(now-g.marked, 1)
	g.marked = now
	want := minEntries * (1 + int64(g.keep/took)) // that many come while one is of use
	size := int64(len(g.entries))
	switch {
	case size == 0:
		g.copyTo(make([]entry, minEntries))
	case want > size && size < maxEntries && int64(g.filled) == size:
		g.copyTo(make([]entry, 2*size))
	case 4*want < size:
		g.copyTo(make([]entry, size/2))
	}
}

// copyTo replaces the ring, keeping as much as there is room for.
func (g *ring) copyTo(entries []entry) {
	old := *g
	if g.entries = entries; int(g.filled) > len(entries) {
		g.filled, g.dropped = uint32(len(entries)), true
	}
	for p := g.next - g.filled; p != g.next; p++ {
		g.entries[g.at(p)] = old.entries[old.at(p)]
	}
}

// at returns where the entry at a position is.
func (g *ring) at(position uint32) uint32 { return position & uint32(len(g.entries)-1) }
