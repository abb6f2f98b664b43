package hub

import "sync"

// shardCount spreads the registry's locks. Loops (connects) and the feed
// (look-ups) are the only takers, a few dozen at most on a large machine.
const shardCount = 64

// Link is the hub's part of a connection, embedded in it so that a registered
// connection costs no allocation of the hub's. Its fields are guarded by the
// lock of the user's shard, but for user, which Admit writes before the link
// can be found and which stays as it is.
type Link struct {
	user       string
	conn       Conn
	next, prev *Link
	count      int // in a list's head: how many links the list has
}

// User returns the user that the connection was admitted for, or "" before.
// It may be called by whoever called Admit.
func (l *Link) User() string { return l.user }

// shard is a part of the registry: user → list of links.
type shard struct {
	mu    sync.Mutex
	heads map[string]*Link    // guarded by mu
	dirty map[string]struct{} // guarded by mu; nil when presence is not tracked
}

func (s *shard) init(track bool) {
	s.heads = make(map[string]*Link)
	if track {
		s.dirty = make(map[string]struct{})
	}
}

// add puts a connection into its user's list and returns the list's new length,
// and whether the user was marked as changed.
func (s *shard) add(c Conn, user string) (ofUser int, marked bool) {
	link := c.HubLink()
	link.user, link.conn = user, c

	s.mu.Lock()
	defer s.mu.Unlock()
	head := s.heads[user]
	if head == nil {
		link.count = 1
		s.heads[user] = link
		return 1, s.mark(user)
	}
	// Behind the head, which so stays the map's entry.
	link.prev, link.next = head, head.next
	if head.next != nil {
		head.next.prev = link
	}
	head.next = link
	head.count++
	return head.count, false
}

// remove takes a link out of its user's list. It returns how many are left,
// whether the user was marked as changed, and whether the link was in at all.
func (s *shard) remove(link *Link) (ofUser int, marked, was bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	head := s.heads[link.user]
	if link.conn == nil {
		if head != nil {
			ofUser = head.count
		}
		return ofUser, false, false
	}
	left := head.count - 1
	if link == head {
		marked = s.behead(link, left)
	} else {
		link.prev.next = link.next
		if link.next != nil {
			link.next.prev = link.prev
		}
		head.count = left
	}
	link.conn, link.next, link.prev, link.count = nil, nil, nil, 0
	return left, marked, true
}

// behead makes the second link the head of its list, or ends the list.
func (s *shard) behead(head *Link, left int) (marked bool) {
	if head.next == nil {
		delete(s.heads, head.user)
		return s.mark(head.user)
	}
	head.next.prev = nil
	head.next.count = left
	// The key must not keep the departed connection's copy of the name alive.
	delete(s.heads, head.user)
	s.heads[head.next.user] = head.next
	return false
}

// collect appends the connections of user to dst.
func (s *shard) collect(dst []Conn, user string) []Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for link := s.heads[user]; link != nil; link = link.next {
		dst = append(dst, link.conn)
	}
	return dst
}

func (s *shard) count(user string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if head := s.heads[user]; head != nil {
		return head.count
	}
	return 0
}
