package hub

// Members calls fn for each connection that is registered, the server's own health checks left out: those of one user one after the
// other, the oldest first where the order counts (Limits.ReplaceOldest). groups is valid during the call; mark is for Join. The connections may
// neither come nor go meanwhile, and nothing may be delivered: it is for a process that hands its connections over. fn may
// call Conn.HubLink().User, and nothing else of the hub's.
func (h *Hub) Members(fn func(c Conn, groups []string, mark uint32)) {
	var conns []Conn
	var groups []string
	for i := range h.shards {
		s := &h.shards[i]
		conns = s.collectAll(conns[:0])
		for _, c := range conns {
			link := c.HubLink()
			if IsProbe(link.user) {
				continue
			}
			groups, _ = s.groupsOf(link, groups[:0])
			fn(c, groups, link.mark)
		}
	}
}

// Join is Admit for a connection that another process has handed over, with what Members said of it there. It got its answer long ago,
// and what it missed is in its send queue. Those of one user are to come in the order of Members. One that is refused is not registered, and
// has its user all the same.
func (h *Hub) Join(c Conn, user string, groups []string, mark uint32) error {
	e := h.enter(c, Arrival{User: user, Groups: groups}, mark)
	h.entered(e)
	if e.err != nil {
		c.HubLink().user = user // so that its end finds whose it was
	}
	return e.err
}
