package hub

import "sync"

// shardCount spreads the registry's locks. Loops (connects) and the feed
// (look-ups) are the only takers, a few dozen at most on a large machine. With
// 100,000 users a shard's table is resized in 0.3 ms, with a million in 1 to 3.
const shardCount = 64

// Link is the hub's part of a connection, embedded in it so that a registered
// connection costs no allocation of the hub's. Its fields are guarded by the
// lock of the user's shard, but for user and hash, which Admit writes before the
// link can be found and which stay as they are.
type Link struct {
	user string // all connections of a user share the first one's bytes
	hash uint32 // of user
	seat int32  // 1 + the place in the user's crowd, 1 for an only connection; 0 while not admitted
}

// User returns the user that the connection was admitted for, or "" before.
// It may be called by whoever called Admit.
func (l *Link) User() string { return l.user }

// shard is a part of the registry: the users of whose hash it is.
type shard struct {
	mu    sync.Mutex
	users table           // guarded by mu
	spare *crowd          // guarded by mu: nil, or an empty one, so that a second connection that comes and goes costs no allocation
	dirty map[string]bool // guarded by mu; nil when presence is not tracked. Who changed since TakeChanged, and whether they were connected then

	groups  *groupRegistry               // static
	grouped leanMap[*Link, []membership] // guarded by mu: the connections that are in groups
}

// admission is what add did.
type admission struct {
	ofUser   int  // how many connections the user has now
	first    bool // the user had none
	marked   bool // the user was marked as changed
	refused  bool // the user has too many: nothing was done
	replaced Conn // the user's oldest connection, which was taken out for the new one; or nil
}

// add registers a connection. Unless may is nil that is only done in place of another one of the user, which may is
// asked about.
func (s *shard) add(c Conn, user string, hash uint32, limits *Limits, may func(oldest Conn) bool, groups []string) admission {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot, found := s.users.find(hash, user)
	if !found && may != nil {
		return admission{refused: true}
	}
	if !found {
		*c.HubLink() = Link{user: user, hash: hash, seat: 1}
		s.users.insert(c)
		s.joinGroups(c, groups)
		return admission{ofUser: 1, first: true, marked: s.mark(user, true)}
	}
	full := limits.MaxPerUser > 0 && s.countAt(slot) >= limits.MaxPerUser
	replaces := full && limits.ReplaceOldest
	if full && !replaces || may != nil && !(replaces && may(s.oldestAt(slot))) {
		return admission{refused: true}
	}
	crowd := s.crowdAt(slot)
	*c.HubLink() = Link{user: crowd.HubLink().user, hash: hash}
	crowd.join(c)
	s.joinGroups(c, groups)
	in := admission{}
	if replaces {
		in.replaced = crowd.conns[0]
		crowd.leave(in.replaced.HubLink(), limits.ReplaceOldest)
		s.leaveGroups(in.replaced.HubLink())
	}
	in.ofUser = len(crowd.conns)
	if in.ofUser == 1 {
		s.disband(crowd, slot)
	}
	return in
}

// remove takes a connection out; ordered says whether those of its user keep their order. It returns how many its user has left, whether
// the user was marked as changed, and whether the connection was in at all.
func (s *shard) remove(link *Link, ordered bool) (ofUser int, marked, was bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot, found := s.users.find(link.hash, link.user)
	if link.seat == 0 {
		if found {
			ofUser = s.countAt(slot)
		}
		return ofUser, false, false
	}
	s.leaveGroups(link)
	crowd, ok := s.users.slots[slot].(*crowd)
	if !ok {
		link.seat = 0
		s.users.remove(slot)
		return 0, s.mark(link.user, false), true
	}
	crowd.leave(link, ordered)
	ofUser = len(crowd.conns)
	if ofUser == 1 {
		s.disband(crowd, slot)
	}
	return ofUser, false, true
}

// collect returns user's only connection, or a batch of several, taken from
// spare, or neither.
func (s *shard) collect(user string, hash uint32, spare *spareBatch) (only Conn, several *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot, found := s.users.find(hash, user)
	if !found {
		return nil, nil
	}
	if crowd, ok := s.users.slots[slot].(*crowd); ok {
		return nil, spare.get(crowd.conns)
	}
	return s.users.slots[slot].(Conn), nil
}

// collectAll appends all connections of the shard to dst.
func (s *shard) collectAll(dst []Conn) []Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.users.slots {
		switch e := e.(type) {
		case *crowd:
			dst = append(dst, e.conns...)
		case Conn:
			dst = append(dst, e)
		}
	}
	return dst
}

func (s *shard) count(user string, hash uint32) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slot, found := s.users.find(hash, user); found {
		return s.countAt(slot)
	}
	return 0
}

// oldestAt returns the oldest connection in a slot that is taken. The caller holds s.mu.
func (s *shard) oldestAt(slot int) Conn {
	if crowd, ok := s.users.slots[slot].(*crowd); ok {
		return crowd.conns[0]
	}
	return s.users.slots[slot].(Conn)
}

// countAt returns how many connections there are in a slot that is taken. The
// caller holds s.mu.
func (s *shard) countAt(slot int) int {
	if crowd, ok := s.users.slots[slot].(*crowd); ok {
		return len(crowd.conns)
	}
	return 1
}
