package hub

import "slices"

// Renew gives an open connection the groups of a new token, none of which is named twice, in place of those of the token before.
// Groups that a command had it join stay: they were never the token's. It still gets what waits for groups that it leaves, and
// nothing of groups that it joins that was heard before, as with a command. One that is not admitted any longer is left alone.
//
// It may wait as Deliver does, unless the groups are the same: no loop may call it. The caller calls netpoll.Server.Flush, or
// wakes the connection's loop.
//
// Positions stay whole, other than after a command: the client comes back with a token that names the groups.
func (h *Hub) Renew(c Conn, groups []string) {
	link := c.HubLink()
	s := h.shard(h.hash(link.user))
	if leave, join := s.renewal(link, groups); len(leave) == 0 && len(join) == 0 {
		return
	}
	h.hearing.Lock()
	defer h.hearing.Unlock()
	if h.stream != nil {
		h.stream.order.mu.Lock()
		defer h.stream.order.mu.Unlock()
		if only, _ := h.catchUpAll(c, nil); only == nil {
			return
		}
	} else {
		h.turn.Lock()
		defer h.turn.Unlock()
	}
	leave, join := s.renewal(link, groups) // a command may have come in between: what it changed is not the token's to change
	if h.stream == nil {
		h.handWaiting(c, nil, leave)
	}
	done := h.regroupConn(c, regrouping{leave: leave, join: join, from: h.groupNumber.Load(), byToken: true})
	h.countRegrouped(link.user, done)
}

// renewal returns which groups a connection leaves and joins that gets others by its token.
func (s *shard) renewal(link *Link, groups []string) (leave, join []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if link.seat == 0 {
		return nil, nil
	}
	places := s.grouped.Get(link)
	in := make(map[string]struct{}, len(places))
	for i := range places { // a place's seat has another lock
		in[places[i].of.name] = struct{}{}
		if !places[i].joined && !slices.Contains(groups, places[i].of.name) {
			leave = append(leave, places[i].of.name)
		}
	}
	for _, name := range groups {
		if _, ok := in[name]; !ok {
			join = append(join, name)
		}
	}
	return leave, join
}
