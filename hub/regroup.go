package hub

import (
	"slices"

	"roost/internal/names"
)

// A command can have the open connections of a user join groups and leave others. It is about these connections: those that
// come later are in the groups of their tokens. A token that is renewed changes the groups of one connection (Renew).
//
// A connection gets each notification for a group if, and only if, that was heard while it was in. So it is handed what waits
// before it leaves, and told what was dropped; and of a group that it joins it gets nothing that was heard before.
//
// With Config.Resume another instance can't tell from a position which groups a command had the connection join. So these
// positions are partial (position.Position.Partial), and a client that comes back with one is told of a gap.

// Membership is a group that a connection is in.
type Membership struct {
	Group  string
	Joined bool // by a command; else its token names the group
}

// GroupsOf returns the groups that a connection is in, in no order; nil for one that is not admitted. Any goroutine.
func (h *Hub) GroupsOf(c Conn) (groups []Membership) {
	link := c.HubLink()
	s := h.shard(h.hash(link.user))
	s.mu.Lock()
	defer s.mu.Unlock()
	places := s.grouped.Get(link)
	for i := range places { // a place's seat has another lock
		groups = append(groups, Membership{places[i].of.name, places[i].joined})
	}
	return groups
}

// regroup has all connections of a user leave groups, and then join others. None is named twice.
func (h *Hub) regroup(user string, leave, join []string) {
	hash := h.hash(user)
	only, several := h.shard(hash).collect(user, hash, &h.spareBatch)
	defer h.spareBatch.put(several)
	if only == nil && several == nil {
		return
	}
	if h.stream != nil {
		h.stream.order.mu.Lock()
		defer h.stream.order.mu.Unlock()
		only, several = h.catchUpAll(only, several)
	} else {
		h.turn.Lock()
		defer h.turn.Unlock()
		h.handWaiting(only, several, leave)
	}
	change := regrouping{leave: leave, join: join, from: h.groupNumber.Load()}
	var done regrouped
	switch {
	case several != nil:
		for _, c := range several.conns {
			done.add(h.regroupConn(c, change))
		}
	case only != nil:
		done = h.regroupConn(only, change)
	}
	h.countRegrouped(user, done)
}

// regrouping is which groups a connection leaves, and which it then joins. Neither names one twice.
type regrouping struct {
	leave, join []string
	from        uint64 // it gets of those that it joins what has a number above this one
	byToken     bool   // the groups are a token's: those that a command had it join are none of them
}

// countRegrouped counts what became of the groups of a user's connections, and warns of those that were not joined.
func (h *Hub) countRegrouped(user string, done regrouped) {
	h.stats.groupsJoined.Add(uint64(done.joined))
	h.stats.groupsLeft.Add(uint64(done.left))
	h.stats.groupsRefused.Add(uint64(done.refused))
	if done.refused > 0 {
		h.faultLog.warnGroups(user, done.refused)
	}
}

// handWaiting hands connections of a user the notifications that wait for groups which they are about to leave, and tells them of those
// that were dropped. The caller holds h.turn.
func (h *Hub) handWaiting(only Conn, several *batch, leave []string) {
	for _, group := range leave {
		waiting, lost := h.broadcasts.waitingFor(group)
		if !lost.IsZero() {
			waiting = append(waiting, &broadcast{group: group, lost: lost}) // the notice that would have come
		}
		if len(waiting) == 0 {
			continue
		}
		watched := h.watches.users(nil, h.cfg.Now())
		if only != nil {
			h.handWaitingTo(only, waiting, watched)
			continue
		}
		for _, c := range several.conns {
			h.handWaitingTo(c, waiting, watched)
		}
	}
}

// handWaitingTo hands a connection those broadcasts, and notices, of a group of its own that it has not had. The caller holds h.turn.
func (h *Hub) handWaitingTo(c Conn, waiting []*broadcast, watched []string) {
	link := c.HubLink()
	m, passed := h.shard(h.hash(link.user)).membership(link, waiting[0].group)
	if m == nil {
		return
	}
	for _, b := range waiting {
		switch {
		case b.begun && b.members == m.of && passed: // it has had this one
		case b.frame == nil:
			c.Missed(b.lost)
		case b.number > m.from && !h.passes(b, c):
			c.Deliver(h.traced(b.notification(h.Clock(), nil), b, link.user, watched))
		}
	}
}

// membership returns the place of a connection in a group, nil if it is not in it, and whether the broadcast that is under way
// there has passed it.
func (s *shard) membership(link *Link, group string) (m *membership, passed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	places := s.grouped.Get(link)
	for i := range places {
		if m := &places[i]; m.of.name == group {
			m.of.shard.mu.Lock()
			defer m.of.shard.mu.Unlock()
			return m, int(m.seat) < m.of.done
		}
	}
	return nil, false
}

// regroupConn is regroup for one connection. The caller holds order.mu, or without
// Config.Resume h.turn; but for one that is registered a moment ago.
func (h *Hub) regroupConn(c Conn, change regrouping) regrouped {
	s := h.shard(h.hash(c.HubLink().user))
	if h.stream == nil {
		return s.regroup(c, change)
	}
	h.stream.mu.Lock()
	defer h.stream.mu.Unlock()
	done := s.regroup(c, change)
	h.stream.setPartial(c.HubLink(), done.partial)
	return done
}

// regrouped is what became of groups, in connections × groups.
type regrouped struct {
	joined, left int
	refused      int  // not joined, because a connection is in names.MaxGroups already
	partial      bool // of one connection: it is in a group that it has joined by a command
}

func (r *regrouped) add(more regrouped) {
	r.joined += more.joined
	r.left += more.left
	r.refused += more.refused
}

// regroup has a connection leave groups, and then join others. One that is not admitted any longer is left alone.
func (s *shard) regroup(c Conn, change regrouping) (done regrouped) {
	s.mu.Lock()
	defer s.mu.Unlock()
	link := c.HubLink()
	if link.seat == 0 {
		return done
	}
	places := s.grouped.Get(link)
	kept := make([]*membership, 0, len(places))
	for i := range places {
		if m := &places[i]; slices.Contains(change.leave, m.of.name) && !(change.byToken && m.joined) {
			m.leave()
			done.left++
		} else {
			kept = append(kept, m)
			done.partial = done.partial || m.joined
		}
	}
	join := slices.DeleteFunc(slices.Clone(change.join), func(name string) bool {
		return slices.ContainsFunc(kept, func(m *membership) bool { return m.of.name == name })
	})
	if room := names.MaxGroups - len(kept); len(join) > room {
		done.refused = len(join) - room
		join = join[:room]
	}
	done.joined = len(join)
	done.partial = done.partial || done.joined > 0 && !change.byToken
	if done.left == 0 && done.joined == 0 {
		return done
	}
	next := make([]membership, len(kept)+len(join))
	for i, m := range kept {
		m.moveTo(&next[i])
	}
	for i, name := range join {
		m := &next[len(kept)+i]
		m.from, m.joined = change.from, !change.byToken
		s.groups.shard(name).join(m, c, name)
	}
	if len(next) == 0 {
		s.grouped.Delete(link)
	} else {
		s.grouped.Put(link, next)
	}
	return done
}

// setPartial notes whether the positions of a connection are partial. The caller holds mu.
func (s *stream) setPartial(link *Link, partial bool) {
	switch {
	case partial:
		if s.partial == nil {
			s.partial = make(map[*Link]struct{})
		}
		s.partial[link] = struct{}{}
	case len(s.partial) > 0:
		delete(s.partial, link)
	}
	s.anyPartial.Store(len(s.partial) > 0)
}

// isPartial reports whether the positions of a connection are partial. It costs one atomic read while there is no such
// connection. The caller does not hold mu.
func (s *stream) isPartial(link *Link) bool {
	if s == nil || !s.anyPartial.Load() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, is := s.partial[link]
	return is
}

// partial is n for connections whose positions are partial.
func (n *Notification) partial() *Notification {
	marked := &Notification{Frame: markPartial(n.Frame), Arrived: n.Arrived, After: n.After, Trace: n.Trace}
	marked.SetWaiting(n.Waiting())
	return marked
}
