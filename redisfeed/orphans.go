package redisfeed

import (
	"time"

	"roost/redisfeed/internal/topology"
	"roost/redisfeed/publish"
)

// orphan is a user who is unheard, and in no queue.
type orphan struct {
	user  string
	notAt string    // the node that has unsubscribed the user by itself, "" for none
	until time.Time // when it may be asked again
}

// turnedAway takes a user whom a node has refused. It may be the right one, and not know it yet. Any goroutine.
func (s *shards) turnedAway(user string) { s.takeOrphan(orphan{user: user}) }

// letDown takes a user whom the node at addr has unsubscribed by itself. Any goroutine.
//
// For a while that is not asked again, also where somebody who is behind says that it still has the slot: as the
// replica that it may be now it would take the subscription, and what is published there by who is behind as well would
// come twice, from it and from the new master. Not for long: an operator who moves slots may have told the source before
// the target, which then lets go of what it has just taken.
func (s *shards) letDown(user, addr string) {
	s.takeOrphan(orphan{user, addr, time.Now().Add(notAgain)})
}

func (s *shards) takeOrphan(o orphan) {
	s.mu.Lock()
	s.refused = append(s.refused, o)
	s.mu.Unlock()
	s.lookSoon()
}

// adoptOrphans has those asked for again for whom there is a node.
func (s *shards) adoptOrphans() {
	var again []string
	known := make(map[string]bool, len(s.orphans)) // who comes back while a shard is away is one twice
	left := s.orphans[:0]
	for _, o := range s.orphans {
		if known[o.user] {
			continue
		}
		known[o.user] = true
		if o.notAt != "" && time.Now().Before(o.until) && s.view.OwnerOf(topology.Slot(publish.ChannelPrefix, o.user)) == o.notAt {
			left = append(left, o)
		} else {
			again = append(again, o.user)
		}
	}
	if s.orphans = left; len(left) == 0 {
		s.orphans = nil
	}
	if len(again) > 0 {
		s.feed.audience.again(again)
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

// pause is how long nothing has to be tended to.
func (s *shards) pause() time.Duration {
	if len(s.orphans) == 0 {
		return time.Hour
	}
	s.lookSoon()
	pause := orphansPause
	for _, at := range s.notYet {
		pause = min(pause, max(time.Until(at), time.Millisecond))
	}
	return pause
}
