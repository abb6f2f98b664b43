package hub

import "slices"

// A user's first connection and last disconnection only leave a mark, under the
// shard's lock. The goroutine that takes the marks asks the hub for the present state, so
// that late or repeated marks do no harm, and no loop ever waits for presence.

// mark notes that user came or went. The caller holds s.mu.
func (s *shard) mark(user string, came bool) bool {
	if s.dirty == nil || IsProbe(user) {
		return false
	}
	if _, marked := s.dirty[user]; !marked {
		s.dirty[user] = !came // what was true before the first of these
	}
	return true
}

// announce wakes the goroutine that takes the marks.
func (h *Hub) announce(marked bool) {
	if !marked {
		return
	}
	select {
	case h.changed <- struct{}{}:
	default: // told already
	}
}

// Changed returns a channel that holds a token while there may be marks to
// take. It stays silent unless Config.TrackPresence is set.
func (h *Hub) Changed() <-chan struct{} { return h.changed }

// TakeChanged calls each, without a lock, for each user whose first connection
// came or whose last one went since the last call, and forgets these marks. was
// says whether the user was connected at the last call; what is true now
// ConnectionsOf says. One goroutine may call it.
func (h *Hub) TakeChanged(each func(user string, was bool)) {
	for i := range h.shards {
		for user, was := range h.shards[i].takeDirty() {
			each(user, was)
		}
	}
}

func (s *shard) takeDirty() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.dirty) == 0 {
		return nil
	}
	taken := s.dirty
	s.dirty = make(map[string]bool)
	return taken
}

// Shards returns how many parts the users are in, for AppendUsers.
func (h *Hub) Shards() int { return shardCount }

// AppendUsers appends to dst the users of a part, 0 to Shards()-1, who have a
// connection now. Probes are not among them. Any goroutine.
//
// Its lock is held for as long as it takes to look at each user of the part: for
// a million users in all, some hundred microseconds.
func (h *Hub) AppendUsers(part int, dst []string) []string {
	s := &h.shards[part]
	for room := 0; ; {
		dst = slices.Grow(dst, room) // without the lock
		s.mu.Lock()
		if room = s.users.used; room <= cap(dst)-len(dst) {
			break
		}
		s.mu.Unlock()
	}
	defer s.mu.Unlock()
	for e := range s.users.all() {
		if user := e.HubLink().user; !IsProbe(user) {
			dst = append(dst, user)
		}
	}
	return dst
}
