package hub

import (
	"hash/maphash"
	"strings"
	"sync"

	"roost/internal/shrinkmap"
)

// A connection may be in groups, those that its token names and those that a command has it join (regroup.go). Each group
// lists its connections. For each connection that is in a group its user's shard knows its places in these lists, so that
// leaving takes as long as the number of its groups, however large they are.
//
// Both change under the lock of the user's shard: a connection that is admitted is in all its groups, and one that is
// removed, in whatever way, is in none. The group's lock is taken while that one is held, never the other way round.

// groupRegistry is all groups that have a member. Any goroutine.
type groupRegistry struct {
	seed   maphash.Seed // static
	shards [groupShardCount]groupShard
}

// groupShardCount spreads the locks. Admitting or removing a connection with groups takes them, for moments.
const groupShardCount = 64

// groupShard is the groups whose names' hash it has.
type groupShard struct {
	mu     sync.Mutex
	groups shrinkmap.Map[string, *group] // guarded by mu; none is empty
}

// group is the connections of one group, in no order.
type group struct {
	shard *groupShard // static
	name  string      // static

	conns  []Conn        // guarded by shard.mu
	places []*membership // guarded by shard.mu: whose place in conns it is
	done   int           // guarded by shard.mu: the first so many have got the broadcast that is under way
}

// membership is a connection's place in one of its groups.
type membership struct {
	of     *group // static
	from   uint64 // static: notifications up to this one, by Hub.groupNumber, came before it joined
	seat   int32  // guarded by of.shard.mu: its index in conns
	joined bool   // static: by a command, and not by its token
}

func (r *groupRegistry) shard(name string) *groupShard {
	return &r.shards[maphash.String(r.seed, name)%groupShardCount]
}

// has reports whether anybody is in a group. Nobody is in one without a name, which would stand for everyone.
func (r *groupRegistry) has(name string) bool {
	if name == "" {
		return false
	}
	s := r.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.groups.Get(name) != nil
}

// begin returns a group that is to be walked with next, nil if nobody is in it.
func (r *groupRegistry) begin(name string) *group {
	s := r.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups.Get(name)
	if g != nil {
		g.done = 0
	}
	return g
}

// next appends the next n connections to dst, or fewer, and reports whether there are more. Between begin and the end each
// connection that stays in the group comes exactly once, whoever joins and leaves meanwhile; but for those that a command had
// join behind the notification whose number it is. One goroutine calls begin and next.
func (g *group) next(dst []Conn, n int, number uint64) (conns []Conn, more bool) {
	g.shard.mu.Lock()
	defer g.shard.mu.Unlock()
	end := min(g.done+n, len(g.conns))
	for i := g.done; i < end; i++ {
		if g.places[i].from < number {
			dst = append(dst, g.conns[i])
		}
	}
	g.done = end
	return dst, end < len(g.conns)
}

// join adds a connection to groups, none of which is named twice, and returns its places. The caller holds the lock of its
// user's shard.
func (r *groupRegistry) join(c Conn, names []string) []membership {
	places := make([]membership, len(names))
	for i, name := range names {
		r.shard(name).join(&places[i], c, name)
	}
	return places
}

// join adds a connection to a group, and makes m its place: of that only from and joined are set.
func (s *groupShard) join(m *membership, c Conn, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups.Get(name)
	if g == nil {
		g = &group{shard: s, name: strings.Clone(name)} // so that the rest of the token's text is not kept
		s.groups.Put(g.name, g)
	}
	m.of, m.seat = g, int32(len(g.conns))
	g.conns, g.places = append(g.conns, c), append(g.places, m)
}

// leave removes a connection from a group. The last one takes its seat; or, if that is among those that are done, the last
// of these takes it, so that they stay in front. The caller holds the lock of its user's shard.
func (m *membership) leave() {
	g := m.of
	g.shard.mu.Lock()
	defer g.shard.mu.Unlock()
	free, end := int(m.seat), len(g.conns)-1
	if free < g.done {
		g.done--
		g.move(g.done, free)
		free = g.done
	}
	g.move(end, free)
	g.conns[end], g.places[end] = nil, nil
	g.conns, g.places = shortened(g.conns[:end]), shortened(g.places[:end])
	if end == 0 {
		g.shard.groups.Delete(g.name)
	}
}

// moveTo moves a place to other memory. The caller holds the lock of its user's shard.
func (m *membership) moveTo(to *membership) {
	m.of.shard.mu.Lock()
	defer m.of.shard.mu.Unlock()
	*to = *m
	m.of.places[m.seat] = to
}

// move moves the connection at one seat to another one, which is free. The caller holds g.shard.mu.
func (g *group) move(from, to int) {
	if from != to {
		g.conns[to], g.places[to] = g.conns[from], g.places[from]
		g.places[to].seat = int32(to)
	}
}

// shortened moves a list that has become much shorter to a smaller piece of memory.
func shortened[T any](list []T) []T {
	if cap(list) > maxSpare && len(list) < cap(list)/4 {
		return append(make([]T, 0, 2*len(list)), list...)
	}
	return list
}

// joinGroups adds a connection to its groups. The caller holds s.mu.
func (s *shard) joinGroups(c Conn, names []string) {
	if len(names) > 0 {
		s.grouped.Put(c.HubLink(), s.groups.join(c, names))
	}
}

// leaveAll removes a connection from all its groups, and forgets its id. The caller holds s.mu.
func (s *shard) leaveAll(link *Link) {
	if s.ids.Len() > 0 {
		s.ids.Delete(link)
	}
	if s.grouped.Len() == 0 {
		return
	}
	places, ok := s.grouped.Find(link)
	if !ok {
		return
	}
	for i := range places {
		places[i].leave()
	}
	s.grouped.Delete(link)
}

// inGroup reports whether a connection of user is in a group.
func (s *shard) inGroup(user string, hash uint32, group string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.connsOf(user, hash) {
		places := s.grouped.Get(c.HubLink())
		for i := range places { // a place's seat has another lock
			if places[i].of.name == group {
				return true
			}
		}
	}
	return false
}
