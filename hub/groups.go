package hub

import (
	"hash/maphash"
	"strings"
	"sync"
)

// A connection may be in groups, those that its token names. Each group lists its connections, and for each connection
// that is in any its user's shard has its places in their lists, so that leaving takes as long as the number of its
// groups, however large they are.
//
// Both are changed under the lock of the user's shard: who is admitted is in all its groups, and who is taken out, by
// whatever way, in none. The group's lock is taken under that one, never the other way round.

// groupRegistry is all groups that somebody is in. Any goroutine.
type groupRegistry struct {
	seed   maphash.Seed // static
	shards [groupShardCount]groupShard
}

// groupShardCount spreads the locks. Who admits or removes a connection with groups takes them, for moments.
const groupShardCount = 64

// groupShard is the groups of whose names' hash it is.
type groupShard struct {
	mu     sync.Mutex
	groups leanMap[string, *group] // guarded by mu; none is empty
}

// group is the connections of one group, in no order.
type group struct {
	shard *groupShard // static
	name  string      // static

	conns  []Conn        // guarded by shard.mu
	places []*membership // guarded by shard.mu: whose place in conns it is
}

// membership is a connection's place in one of its groups.
type membership struct {
	of   *group // static
	seat int32  // guarded by of.shard.mu: its index in conns
}

func (r *groupRegistry) shard(name string) *groupShard {
	return &r.shards[maphash.String(r.seed, name)%groupShardCount]
}

// has reports whether anybody is in a group.
func (r *groupRegistry) has(name string) bool {
	s := r.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.groups.all[name] != nil
}

// collect appends the connections of a group to dst. A hundred thousand of them hold the lock for a fifth of a
// millisecond.
func (r *groupRegistry) collect(dst []Conn, name string) []Conn {
	s := r.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.groups.all[name]; g != nil {
		dst = append(dst, g.conns...)
	}
	return dst
}

// join takes a connection into groups, each once, and returns its places. The caller holds the lock of its user's
// shard.
func (r *groupRegistry) join(c Conn, names []string) []membership {
	places := make([]membership, len(names))
	for i, name := range names {
		r.shard(name).join(&places[i], c, name)
	}
	return places
}

func (s *groupShard) join(m *membership, c Conn, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups.all[name]
	if g == nil {
		g = &group{shard: s, name: strings.Clone(name)} // of the token's text nothing else stays
		s.groups.put(g.name, g)
	}
	*m = membership{of: g, seat: int32(len(g.conns))}
	g.conns, g.places = append(g.conns, c), append(g.places, m)
}

// leave takes a connection out of a group. The last one takes over its seat. The caller holds the lock of its user's
// shard.
func (m *membership) leave() {
	g := m.of
	g.shard.mu.Lock()
	defer g.shard.mu.Unlock()
	end := len(g.conns) - 1
	g.conns[m.seat], g.places[m.seat] = g.conns[end], g.places[end]
	g.places[m.seat].seat = m.seat
	g.conns[end], g.places[end] = nil, nil
	g.conns, g.places = shortened(g.conns[:end]), shortened(g.places[:end])
	if end == 0 {
		g.shard.groups.remove(g.name)
	}
}

// shortened moves a list that has become much shorter to a smaller piece of memory.
func shortened[T any](list []T) []T {
	if cap(list) > maxSpare && len(list) < cap(list)/4 {
		return append(make([]T, 0, 2*len(list)), list...)
	}
	return list
}

// joinGroups takes a connection that is being added into its groups. The caller holds s.mu.
func (s *shard) joinGroups(c Conn, names []string) {
	if len(names) > 0 {
		s.grouped.put(c.HubLink(), s.groups.join(c, names))
	}
}

// leaveGroups takes a connection out of all its groups. The caller holds s.mu.
func (s *shard) leaveGroups(link *Link) {
	if len(s.grouped.all) == 0 {
		return
	}
	places, ok := s.grouped.all[link]
	if !ok {
		return
	}
	for i := range places {
		places[i].leave()
	}
	s.grouped.remove(link)
}
