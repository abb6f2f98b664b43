package doctor

// busyShare is what part of the connections the memory for TCP has to be enough
// for: one in four with something under way, each with a page. An idle one has
// none (socket buffers a connection, docs/benchmarks.md: 56 B).
const busyShare = 4

// tcpMem judges the pages that all sockets' buffers may have together. Beyond the
// last number the kernel gives no more, and notifications are lost.
func tcpMem(h Host, ask Ask) Finding {
	const name = "buffers of all sockets"
	r := h.tcpMem
	if r.err != nil {
		return unknown(name, r)
	}
	high, need := r.at(2), uint64(ask.Connections)
	raise := sysctl(r, max(r.at(0), need), max(r.at(1), 2*need), max(high, 4*need))
	f := wall(name, r, r.String(), busyShare*clamp(high), ask, raise)
	if high < need {
		f = f.warn("not for all clients at once, one page each", raise)
	}
	if r.at(1) < need {
		f = f.warn("with something for all clients at once, buffers shrink", raise)
	}
	return f.noting("pages of TCP memory: an idle connection has none, a busy one has some")
}

// tcpRmem says that it is no limit: what a client sends is read at once.
func tcpRmem(h Host, _ Ask) Finding {
	const name = "receive buffer"
	if h.tcpRmem.err != nil {
		return unknown(name, h.tcpRmem)
	}
	return Finding{Name: name, Source: h.tcpRmem.source(), Found: h.tcpRmem.String(), State: OK,
		Note: "not a limit: what clients send is read at once"}
}

// leastInFlight is how much the kernel should be free to have on its way to one client, in
// bytes with their headers: a quarter of it is 300 KB a second at a round trip of 300 ms
// when half is headers.
const leastInFlight = 1 << 20

// tcpWmem judges how far the kernel may size a connection's send buffer. Roost sets none: it bounds what
// has not been sent (WS_WRITE_BUFFER_SIZE), and the kernel what is on its way.
func tcpWmem(h Host, _ Ask) Finding {
	const name = "send buffer"
	r := h.tcpWmem
	if r.err != nil {
		return unknown(name, r)
	}
	f := Finding{Name: name, Source: r.source(), Found: r.String(), State: OK}
	if r.at(2) < leastInFlight {
		f = f.warn("clients far away get little at a time", sysctl(r, r.at(0), r.at(1), 4<<20))
	}
	return f.noting("not a limit: the kernel sizes it as a client needs it")
}
