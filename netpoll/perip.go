package netpoll

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// acquireIP counts a connection that is about to be admitted, and reports whether
// its address may have one more.
func (h *pendingHandshake) acquireIP() bool {
	c := h.conn
	limit := c.loop.server.rules.Load().MaxPerIP
	if limit <= 0 || c.selfCheck {
		return true
	}
	var ok bool
	c.ipSlot, ok = c.loop.server.perIP.Acquire(h.source, limit)
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
