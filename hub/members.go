package hub

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"roost/internal/wirecodec"
)

// Members calls fn for each connection that is registered, the server's own health checks left out: those of one user one after the
// other, the oldest first where the order counts (Limits.ReplaceOldest). state is what Join needs, valid during the call. The connections may
// neither come nor go meanwhile, and nothing may be delivered: it is for a process that hands its connections over. fn may
// call Conn.HubLink().User, and nothing else of the hub's.
func (h *Hub) Members(fn func(c Conn, state []byte)) {
	var conns []Conn
	var state []byte
	for i := range h.shards {
		s := &h.shards[i]
		conns = s.collectAll(conns[:0])
		for _, c := range conns {
			link := c.HubLink()
			if IsProbe(link.user) {
				continue
			}
			state = wirecodec.AppendUint(state[:0], memberVersion)
			state = wirecodec.AppendUint(state, uint64(atomic.LoadUint32(&link.mark)))
			state = s.appendGroups(state, link)
			state = wirecodec.AppendUint(state, uint64(h.idOf(c)))
			fn(c, state)
		}
	}
}

// appendGroups appends the groups that a connection is in, and from where on: it may have joined behind what still waits.
func (s *shard) appendGroups(dst []byte, link *Link) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	places := s.grouped.Get(link)
	dst = wirecodec.AppendUint(dst, uint64(len(places)))
	for i := range places {
		m := &places[i]
		dst = wirecodec.AppendBool(dst, m.joined)
		dst = wirecodec.AppendUint(dst, m.from)
		dst = wirecodec.AppendString(dst, m.of.name)
	}
	return dst
}

// memberVersion is the version of a state. A release reads its own and the one before it, which says from where on a connection is in a
// group only of those that a command had it join.
const memberVersion = 2

// errMemberVersion is wrapped by the error of a state of another version.
var errMemberVersion = errors.New("of another version")

// maxMemberGroup bounds the name of a group in a state, in bytes.
const maxMemberGroup = 1 << 10

// Join is Admit for a connection that another process has handed over, with what Members said of it there. It got its answer long ago,
// and what it missed is in its send queue. Those of one user are to come in the order of Members. One for which there is no room is not registered
// (ErrFull, ErrUserFull), and has its user all the same. Other errors are those of a state that can't be read: nothing was done.
func (h *Hub) Join(c Conn, user string, state []byte) error {
	r := wirecodec.NewReader(state)
	version := r.Uint(math.MaxUint32)
	if r.Err() == nil && version != memberVersion && version != memberVersion-1 {
		_ = r.Fail(errMemberVersion)
	}
	mark := uint32(r.Uint(math.MaxUint32))
	var groups []string
	var later []regrouping // the groups that it was not in from the beginning
	for range r.Count(2) {
		joined, from := r.Bool(), uint64(0)
		if joined || version == memberVersion {
			from = r.Uint(math.MaxUint64)
		}
		group := r.String(maxMemberGroup)
		if joined || from > 0 {
			later = append(later, regrouping{join: []string{group}, from: from, byToken: !joined})
		} else {
			groups = append(groups, group)
		}
	}
	id := connID(r.Uint(math.MaxUint64))
	if err := r.Done(); err != nil {
		return fmt.Errorf("hub: the state of a connection: %w", err)
	}
	e := h.enter(c, Arrival{User: user, Groups: groups}, mark)
	h.entered(e)
	if e.err != nil {
		c.HubLink().user = user // so that its end finds whose it was
		return e.err
	}
	for _, change := range later {
		h.regroupConn(c, change)
	}
	if id != 0 {
		h.setID(c, id)
	}
	return nil
}
