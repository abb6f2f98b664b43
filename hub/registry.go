package hub

import (
	"sync"

	"roost/internal/shrinkmap"
)

// shardCount spreads the registry's locks. Only loops (connects) and the feed
// (look-ups) take them, a few dozen at most on a large machine.
const shardCount = 64

// Link is the hub's part of a connection, embedded in it so that a registered
// connection costs no allocation of the hub's. Its fields are guarded by the
// lock of the user's shard, but for user, which Admit writes before the
// link can be found and which stays as it is, and mark.
type Link struct {
	user string // all connections of a user share the first one's bytes
	seat int32  // 1 + the place in the user's userConns, 1 for an only connection; 0 while not admitted
	mark uint32 // with Config.Resume the ordinal up to which it has had all broadcasts; written under order.mu, atomically
}

// User returns the user that the connection was admitted for, or "" before.
// It may be called by whoever called Admit.
func (l *Link) User() string { return l.user }

// shard is a part of the registry: the users whose hash it has.
type shard struct {
	mu    sync.Mutex
	users table           // guarded by mu
	spare *userConns      // guarded by mu: nil, or an empty one, so that a second connection that comes and goes costs no allocation
	dirty map[string]bool // guarded by mu; nil when presence is not tracked. Users who came or went since TakeChanged, and whether they were connected then

	groups  *groupRegistry                     // static
	grouped shrinkmap.Map[*Link, []membership] // guarded by mu: the connections that are in groups
	ids     shrinkmap.Map[*Link, connID]       // guarded by mu: those of connections whose clients asked for one
}

// admission is what add did.
type admission struct {
	ofUser   int  // how many connections the user has now
	first    bool // the user had none
	marked   bool // the user was marked as changed
	refused  bool // the user has too many: nothing was done
	replaced Conn // the user's oldest connection, which was removed for the new one; or nil
}

// add registers a connection, which gets link and whose user has a hash. Unless may is nil it does so only in place of another
// one of the user, if may says so of that.
func (s *shard) add(c Conn, link Link, hash uint32, limits *Limits, may func(oldest Conn) bool, groups []string) admission {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.users.find(hash, link.user)
	if e == nil && may != nil {
		return admission{refused: true}
	}
	if e == nil {
		link.seat = 1
		*c.HubLink() = link
		s.users.put(hash, c)
		s.joinGroups(c, groups)
		return admission{ofUser: 1, first: true, marked: s.mark(link.user, true)}
	}
	full := limits.MaxPerUser > 0 && countOf(e) >= limits.MaxPerUser
	replaces := full && limits.ReplaceOldest
	if full && !replaces || may != nil && !(replaces && may(oldestOf(e))) {
		return admission{refused: true}
	}
	all := s.several(hash, e)
	link.user = all.HubLink().user
	*c.HubLink() = link
	all.add(c)
	s.joinGroups(c, groups)
	in := admission{}
	if replaces {
		in.replaced = all.conns[0]
		all.remove(in.replaced.HubLink(), limits.ReplaceOldest)
		s.leaveAll(in.replaced.HubLink())
	}
	in.ofUser = len(all.conns)
	if in.ofUser == 1 {
		s.single(hash, all)
	}
	return in
}

// remove removes a connection; ordered says whether those of its user keep their order. It returns how many its user has
// left, whether the user was marked as changed, and whether the connection was registered at all.
func (s *shard) remove(link *Link, hash uint32, ordered bool) (ofUser int, marked, was bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.users.find(hash, link.user)
	if link.seat == 0 {
		if e != nil {
			ofUser = countOf(e)
		}
		return ofUser, false, false
	}
	s.leaveAll(link)
	all, several := e.(*userConns)
	if !several {
		link.seat = 0
		s.users.remove(hash, link.user)
		return 0, s.mark(link.user, false), true
	}
	all.remove(link, ordered)
	ofUser = len(all.conns)
	if ofUser == 1 {
		s.single(hash, all)
	}
	return ofUser, false, true
}

// collect returns user's only connection, or a batch of several, taken from
// spare, or neither.
func (s *shard) collect(user string, hash uint32, spare *spareBatch) (only Conn, several *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e := s.users.find(hash, user).(type) {
	case *userConns:
		return nil, spare.get(e.conns)
	case Conn:
		return e, nil
	}
	return nil, nil
}

// connsOf returns the connections of a user, which stay the shard's. The caller holds s.mu.
func (s *shard) connsOf(user string, hash uint32) []Conn {
	switch e := s.users.find(hash, user).(type) {
	case *userConns:
		return e.conns
	case Conn:
		return []Conn{e}
	}
	return nil
}

// collectAll appends all connections of the shard to dst.
func (s *shard) collectAll(dst []Conn) []Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := range s.users.all() {
		switch e := e.(type) {
		case *userConns:
			dst = append(dst, e.conns...)
		case Conn:
			dst = append(dst, e)
		}
	}
	return dst
}

// count returns how many connections a user has.
func (s *shard) count(user string, hash uint32) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.users.find(hash, user); e != nil {
		return countOf(e)
	}
	return 0
}

// oldestOf returns the oldest of a user's connections.
func oldestOf(e entry) Conn {
	if all, several := e.(*userConns); several {
		return all.conns[0]
	}
	return e.(Conn)
}

// countOf returns how many connections a user has.
func countOf(e entry) int {
	if all, several := e.(*userConns); several {
		return len(all.conns)
	}
	return 1
}

// userConns is the connections of a user who has more than one, the oldest first where they keep their order. It is
// guarded by the lock of the user's shard.
type userConns struct {
	conns []Conn
}

// HubLink implements entry: the link of each of them has the user's name.
func (u *userConns) HubLink() *Link { return u.conns[0].HubLink() }

// add appends a connection.
func (u *userConns) add(c Conn) {
	u.conns = append(u.conns, c)
	c.HubLink().seat = int32(len(u.conns))
}

// remove removes a connection. The last one takes its place; or, where the order counts, all that came later move up, and
// the oldest stays the first.
func (u *userConns) remove(link *Link, ordered bool) {
	end := len(u.conns) - 1
	if ordered {
		for i := int(link.seat); i <= end; i++ {
			u.conns[i-1] = u.conns[i]
			u.conns[i-1].HubLink().seat = int32(i)
		}
	} else {
		last := u.conns[end]
		u.conns[link.seat-1] = last
		last.HubLink().seat = link.seat
	}
	link.seat = 0
	u.conns[end] = nil
	u.conns = shortened(u.conns[:end])
}

// maxSpare bounds, in connections, the userConns that a shard keeps for the next
// user who needs one.
const maxSpare = 4

// several returns a user's userConns, and makes them of a single connection. The caller
// holds s.mu.
func (s *shard) several(hash uint32, e entry) *userConns {
	if u, ok := e.(*userConns); ok {
		return u
	}
	u := s.spare
	if s.spare = nil; u == nil {
		u = &userConns{conns: make([]Conn, 0, 2)}
	}
	u.add(e.(Conn))
	s.users.put(hash, u)
	return u
}

// single puts the one connection that is left of u in its place. The caller holds s.mu.
func (s *shard) single(hash uint32, u *userConns) {
	s.users.put(hash, u.conns[0])
	if cap(u.conns) > maxSpare {
		return
	}
	u.conns[0] = nil
	u.conns = u.conns[:0]
	s.spare = u
}
