package sentlog

import (
	"iter"
	"slices"
	"time"
)

// ring says where in its connection's stream each notification ended that was sent
// lately. It is one for all connections together; those of one are found by a chain from
// the newest back, as LZ77 finds matches. So it costs 12 bytes a notification for as
// long as its entries are of use, 1.5 MiB at most, and a connection nothing. The
// zero value is empty; keep has to be set.
type ring struct {
	keep    time.Duration  // for which an entry is of use
	pages   []page         // the oldest first; all but the last are full
	next    uint32         // the position of the next entry, modulo 2^32
	filled  uint32         // how many before next there are
	dropped bool           // there have been more
	heads   [chains]uint32 // the position of the newest entry of each chain
}

// page has entries that were sent one after the other. It comes when they do, and goes when none of them is of use,
// so that the ring never has room for much more than it has to.
type page struct {
	entries *[pageEntries]entry
	full    time.Duration // when the next page began
}

const (
	chains      = 1 << 12
	pageEntries = 1 << 10 // 12 KiB, which is a size class of Go
	maxPages    = 1 << 7
)

// entry is one notification.
type entry struct {
	fd   int32  // of its connection
	end  uint32 // how many bytes were written to the connection with its last one, modulo 2^32
	back uint32 // how far back in the ring the chain goes on
}

// note enters a notification that was sent at a moment.
func (g *ring) note(fd int32, end uint32, now time.Duration) {
	if int(g.filled) == len(g.pages)*pageEntries {
		g.turn(now)
	}
	head := &g.heads[fd%chains]
	*g.at(g.filled) = entry{fd, end, g.next - *head}
	*head = g.next
	g.next++
	g.filled++
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
			e := *g.at(g.filled - uint32(back))
			if e.fd == fd && !yield(e) || e.back == 0 {
				return
			}
			back += uint64(e.back)
		}
	}
}

// turn begins a page, in place of one that is of no use any more, if there is one. Others of these go.
func (g *ring) turn(now time.Duration) {
	if last := len(g.pages) - 1; last >= 0 {
		g.pages[last].full = now
	}
	old := 0
	for old < len(g.pages) && now-g.pages[old].full > g.keep {
		old++
	}
	if len(g.pages) == maxPages {
		old = max(old, 1)
	}
	begun := page{}
	if old > 0 {
		begun.entries = g.pages[0].entries
		g.pages = slices.Delete(g.pages, 0, old)
		g.filled, g.dropped = g.filled-uint32(old*pageEntries), true
	} else {
		begun.entries = new([pageEntries]entry)
	}
	g.pages = append(g.pages, begun)
}

// at returns the entry before which there are n.
func (g *ring) at(n uint32) *entry { return &g.pages[n/pageEntries].entries[n%pageEntries] }
