package doctor

const (
	// leastBacklog and mostBacklog bound what a listener's queue should hold.
	// The kernel takes up to 65,535.
	leastBacklog, mostBacklog = 1024, 65535
	// atOnce is what part of the clients may come back in the same moment, after
	// a restart: one in four.
	atOnce = 4
)

// backlogFor is how long the queue of clients that nobody has accepted yet should
// be. Roost accepts about 20,000 a second.
func backlogFor(ask Ask) uint64 {
	return min(roundUp(uint64(min(max(ask.Connections/atOnce, leastBacklog), mostBacklog))), mostBacklog)
}

// somaxconn judges the queue of the listener, which is as long as this allows.
func somaxconn(h Host, ask Ask) Finding {
	const name = "accept queue"
	if h.somaxconn.err != nil {
		return unknown(name, h.somaxconn)
	}
	f := Finding{Name: name, Source: h.somaxconn.source(), Found: h.somaxconn.String(), State: OK}
	if want := backlogFor(ask); h.somaxconn.at(0) < want {
		f = f.warn("clients that come back at once try again after a second; restart Roost after a change",
			sysctl(h.somaxconn, want))
	}
	return f.noting("for when all clients come back at once")
}

// synBacklog judges the half-open connections. With SYN cookies, which nearly all
// hosts have, its length does not matter.
func synBacklog(h Host, ask Ask) Finding {
	const name = "SYN queue"
	if h.synBacklog.err != nil {
		return unknown(name, h.synBacklog)
	}
	f := Finding{Name: name, Source: h.synBacklog.source(), Found: h.synBacklog.String(), State: OK}
	if h.synCookies.err == nil && h.synCookies.at(0) > 0 {
		return f.noting("SYN cookies take over when it is full")
	}
	if want := backlogFor(ask); h.synBacklog.at(0) < want {
		f = f.warn("without SYN cookies clients that come at once try again after a second", sysctl(h.synBacklog, want))
	}
	return f.noting("there are no SYN cookies")
}

// conntrack judges the firewall's table, if there is one.
func conntrack(h Host, ask Ask) Finding {
	const name = "connection tracking"
	if h.conntrack.missing() {
		return Finding{Name: name, Source: h.conntrack.source(), Found: "not loaded", State: OK}
	}
	if h.conntrack.err != nil {
		return unknown(name, h.conntrack)
	}
	entries := 1
	if ask.ProxyAddresses > 0 {
		entries = 2 // the client's to the proxy, and the proxy's to Roost
	}
	n := h.conntrack.at(0)
	usable := clamp(n - n/16) // the rest is others'
	return wall(name, h.conntrack, h.conntrack.String(), usable/entries, ask,
		sysctl(h.conntrack, roundUp(uint64(entries*ask.Connections)*5/4))).
		noting("beyond it the kernel drops new connections")
}
