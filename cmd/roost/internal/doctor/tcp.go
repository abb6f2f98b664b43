package doctor

// busyShare is what part of the connections the memory for TCP has to be enough
// for: one in four with something under way, each with a page. An idle one has
// none (socket buffers a connection, docs/benchmarks.md: 56 B).
const busyShare = 4

// leastSendBuffer is what Roost asks for at least, in bytes.
const leastSendBuffer = 16 << 10

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

// tcpWmem says that it is no limit: Roost sets each socket's own.
func tcpWmem(h Host, _ Ask) Finding {
	const name = "send buffer"
	if h.tcpWmem.err != nil {
		return unknown(name, h.tcpWmem)
	}
	return Finding{Name: name, Source: h.tcpWmem.source(), Found: h.tcpWmem.String(), State: OK,
		Note: "not a limit: Roost sets its own (WS_WRITE_BUFFER_SIZE)"}
}

// wmemMax judges whether the kernel gives the send buffer that Roost asks for.
func wmemMax(h Host, ask Ask) Finding {
	const name = "largest send buffer"
	if h.wmemMax.err != nil {
		return unknown(name, h.wmemMax)
	}
	want := uint64(max(ask.SendBuffer, leastSendBuffer))
	f := Finding{Name: name, Source: h.wmemMax.source(), Found: h.wmemMax.String(), State: OK}
	if h.wmemMax.at(0) < want {
		f = f.warn("less than WS_WRITE_BUFFER_SIZE asks for", sysctl(h.wmemMax, want))
	}
	return f.noting("enough for what WS_WRITE_BUFFER_SIZE asks for")
}
