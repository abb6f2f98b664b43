package redisfeed

import (
	"time"

	"roost/redisfeed/internal/topology"
	"roost/redisfeed/publish"
)

// unplaced is a user who is unsubscribed, and in no queue.
type unplaced struct {
	user  string
	notAt string    // the node that has unsubscribed the user by itself, "" for none
	until time.Time // when it may be asked again
}

// userRefused takes a user whom a node has refused. It may be the right one, and not know it yet. Any goroutine.
func (s *shards) userRefused(user string) { s.addUnplaced(unplaced{user: user}) }

// userDropped takes a user whom the node at addr has unsubscribed by itself. Any goroutine.
//
// For a while that is not asked again, also where somebody who is behind says that it still has the slot: as the
// replica that it may be now it would take the subscription, and what is published there by who is behind as well would
// come twice, from it and from the new master. Not for long: an operator who moves slots may have told the source before
// the target, which then lets go of what it has just taken.
func (s *shards) userDropped(user, addr string) {
	s.addUnplaced(unplaced{user, addr, time.Now().Add(dropPause)})
}

func (s *shards) addUnplaced(u unplaced) {
	s.mu.Lock()
	s.refused = append(s.refused, u)
	s.mu.Unlock()
	s.lookSoon()
}

// placeUsers has those subscribed for whom there is a node.
func (s *shards) placeUsers() {
	var again []string
	known := make(map[string]bool, len(s.unplaced)) // who comes back while a shard is away is one twice
	left := s.unplaced[:0]
	for _, u := range s.unplaced {
		if known[u.user] {
			continue
		}
		known[u.user] = true
		if u.notAt != "" && time.Now().Before(u.until) && s.view.OwnerOf(topology.Slot(publish.ChannelPrefix, u.user)) == u.notAt {
			left = append(left, u)
		} else {
			again = append(again, u.user)
		}
	}
	if s.unplaced = left; len(left) == 0 {
		s.unplaced = nil
	}
	if len(again) > 0 {
		s.feed.subs.Requeue(again)
	}
}

// anyNodeDue reports whether a node may be tried again that could not be reached, and forgets those that may.
func (s *shards) anyNodeDue() bool {
	due := false
	for addr, at := range s.notYet {
		if !time.Now().Before(at) {
			delete(s.notYet, addr)
			due = true
		}
	}
	return due
}

// pause is how long there is nothing to do.
func (s *shards) pause() time.Duration {
	if len(s.unplaced) == 0 {
		return time.Hour
	}
	s.lookSoon()
	pause := placePause
	for _, at := range s.notYet {
		pause = min(pause, max(time.Until(at), time.Millisecond))
	}
	return pause
}
