package netpoll

import (
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// addresses counts connections by the client's address, IPv6 by its /64. A
// connection keeps the number of its place, four bytes. Any goroutine. The zero
// value is empty.
type addresses struct {
	mu     sync.Mutex
	places map[source]uint32 // guarded by mu: 1 + the index in counts
	counts []addressCount    // guarded by mu
	free   []uint32          // guarded by mu: places that nobody has
}

type addressCount struct {
	of source
	n  int
}

// take counts a connection of an address and returns its place, or false if
// the address has limit of them already.
func (a *addresses) take(of source, limit int) (place uint32, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	place = a.places[of]
	if place == 0 {
		place = a.newPlace(of)
	}
	count := &a.counts[place-1]
	if count.n >= limit {
		return 0, false
	}
	count.n++
	return place, true
}

// newPlace makes a place for an address. The caller holds mu.
func (a *addresses) newPlace(of source) (place uint32) {
	if a.places == nil {
		a.places = make(map[source]uint32)
	}
	if last := len(a.free) - 1; last >= 0 {
		place, a.free = a.free[last], a.free[:last]
	} else {
		a.counts = append(a.counts, addressCount{})
		place = uint32(len(a.counts))
	}
	a.counts[place-1] = addressCount{of: of}
	a.places[of] = place
	return place
}

// leave counts one connection less in a place. Place 0 is none.
func (a *addresses) leave(place uint32) {
	if place == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	count := &a.counts[place-1]
	if count.n--; count.n > 0 {
		return
	}
	delete(a.places, count.of)
	*count = addressCount{}
	a.free = append(a.free, place)
	if len(a.places) == 0 { // give the memory back
		a.places, a.counts, a.free = nil, nil, nil
	}
}

// acquireIP counts a connection that is about to be admitted, and reports whether
// its address may have one more.
func (h *pendingHandshake) acquireIP() bool {
	c := h.conn
	limit := c.loop.server.rules.Load().MaxPerIP
	if limit <= 0 || c.selfCheck {
		return true
	}
	var ok bool
	c.ipSlot, ok = c.loop.server.perIP.take(h.source, limit)
	return ok
}

// peer returns the address and port of the other end of a socket; the zero value
// if it has none any more.
func peer(fd int32) netip.AddrPort {
	address, err := unix.Getpeername(int(fd))
	if err != nil {
		return netip.AddrPort{} // it is gone already
	}
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}
