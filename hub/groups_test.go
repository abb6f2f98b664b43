package hub

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"roost/internal/shrinkmap"
)

// membersOf are the connections of a group, in no order.
func (h *Hub) membersOf(group string) map[Conn]int {
	members := make(map[Conn]int)
	if g := h.groups.begin(group); g != nil {
		conns, _ := g.next(nil, math.MaxInt, math.MaxUint64)
		for _, c := range conns {
			members[c]++
		}
	}
	return members
}

// checkNoGroups checks that nothing is left of any group, nor much memory.
func checkNoGroups(t *testing.T, h *Hub) {
	t.Helper()
	for i := range h.groups.shards {
		if left := &h.groups.shards[i].groups; left.Len() > 0 || left.Room() > shrinkmap.Kept {
			t.Errorf("shard %d of the groups has %d, and room for %d", i, left.Len(), left.Room())
		}
	}
	for i := range h.shards {
		if left := &h.shards[i].grouped; left.Len() > 0 || left.Room() > shrinkmap.Kept {
			t.Errorf("shard %d has %d connections in groups, and room for %d", i, left.Len(), left.Room())
		}
	}
}

// someGroups are up to three of a few, some of which are large.
func someGroups() (names []string) {
	for range rand.IntN(4) {
		if name := fmt.Sprint("group-", int(rand.ExpFloat64()*6)); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// TestGroupsLikeAMap has connections come and go in every way there is, with groups; a map of sets is the model.
func TestGroupsLikeAMap(t *testing.T) {
	t.Parallel()
	h := New(Config{Limits: Limits{MaxPerUser: 4, ReplaceOldest: true}, Logger: quiet()})
	here := make(map[*fakeConn][]string) // with their groups
	leave := func(c *fakeConn) { delete(here, c) }
	for step := range 6_000 {
		switch what := rand.IntN(6_000); {
		case len(here) == 0 || what > step: // growing at first, shrinking in the end
			c, groups := new(fakeConn), someGroups()
			if _, _, err := h.Admit(c, fmt.Sprint("user-", rand.IntN(300)), groups...); err != nil {
				t.Fatal(err)
			}
			here[c] = groups
			for other := range here {
				if other.replaced.Load() {
					leave(other)
				}
			}
		case what%5 == 1: // a user's groups, by command
			for c := range here {
				leave, join := someGroups(), someGroups()
				h.regroup(c.link.User(), leave, join)
				for other := range here {
					if other.link.User() == c.link.User() {
						here[other] = joined(here[other], leave, join)
					}
				}
				break
			}
		case what%10 == 0: // a whole user, by command
			for c := range here {
				h.Control(c.link.User(), `{"disconnect":{}}`)
				break
			}
			for c := range here {
				if len(c.disconnects) > 0 {
					leave(c)
				}
			}
		default:
			for c := range here {
				h.Remove(c)
				h.Remove(c) // again does nothing
				leave(c)
				break
			}
		}
		if step%50 == 0 {
			checkGroups(t, h, here)
		}
	}
	for c := range maps.Clone(here) {
		h.Remove(c)
		leave(c)
	}
	checkGroups(t, h, here)
	checkNoGroups(t, h)
}

// joined is a model of a change of groups.
func joined(groups, leave, join []string) []string {
	groups = slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return slices.Contains(leave, g) })
	for _, g := range join {
		if !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	return groups
}

// checkGroups checks that the hub knows the same members as the model, each once.
func checkGroups(t *testing.T, h *Hub, model map[*fakeConn][]string) {
	t.Helper()
	want := make(map[string]map[Conn]int)
	for c, groups := range model {
		for _, g := range groups {
			if want[g] == nil {
				want[g] = make(map[Conn]int)
			}
			want[g][c] = 1
		}
	}
	for i := range 60 {
		name := fmt.Sprint("group-", i)
		got := h.membersOf(name)
		if len(got) != len(want[name]) || len(got) > 0 && !maps.Equal(got, want[name]) || h.groups.has(name) != (len(got) > 0) {
			t.Fatalf("%s has %d members, want %d", name, len(got), len(want[name]))
		}
	}
}

// TestGroupsUnderChurn: loops, the feed and the broadcasts at once. The race detector finds faults of the locks; in the
// end nothing may be left.
func TestGroupsUnderChurn(t *testing.T) {
	t.Parallel()
	h := New(Config{Limits: Limits{MaxPerUser: 3, ReplaceOldest: true}, Logger: quiet()})
	stays := mustAdmit(t, h, "stays", "group-0")
	go h.RunBroadcasts(func() {})
	var loops sync.WaitGroup
	for loop := range 4 {
		loops.Go(func() {
			var mine []*fakeConn
			for i := range 2_000 {
				c := new(fakeConn)
				if _, _, err := h.Admit(c, fmt.Sprint("user-", (loop+i)%50), someGroups()...); err != nil {
					t.Error(err)
				}
				if mine = append(mine, c); len(mine) > 20 {
					h.Remove(mine[0])
					mine = mine[1:]
				}
			}
			for _, c := range mine {
				h.Remove(c)
			}
		})
	}
	const each = 200
	for i := range each {
		h.DeliverGroup("group-0", fmt.Sprintf(`{"type":"g","payload":%d}`, i))
		h.Broadcast(fmt.Sprintf(`{"type":"all","payload":%d}`, i))
		h.Control(fmt.Sprint("user-", i%50), `{"disconnect":{}}`)
		h.Control(fmt.Sprint("user-", (i+25)%50), fmt.Sprintf(`{"join":["group-%d"],"leave":["group-%d"]}`, i%9, (i+1)%9))
	}
	loops.Wait()
	h.EndBroadcasts(t.Context())
	if got := stays.count(); got != 2*each {
		t.Errorf("who stayed got %d, want %d", got, 2*each)
	}
	h.Remove(stays)
	checkNoGroups(t, h)
	if n := h.Connections(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

// TestGroupsGiveMemoryBack: what is left does not depend on how many there were.
func TestGroupsGiveMemoryBack(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	stays := mustAdmit(t, h, "stays", "everybody")
	var conns []*fakeConn
	for i := range 20_000 {
		c := mustAdmit(t, h, fmt.Sprint("user-", i), "everybody", fmt.Sprint("own-", i))
		conns = append(conns, c)
	}
	for _, c := range conns {
		h.Remove(c)
	}
	s := h.groups.shard("everybody")
	if g := s.groups.Get("everybody"); g == nil || cap(g.conns) > 4*maxSpare || cap(g.places) > 4*maxSpare {
		t.Errorf("a group of one has room for %d", cap(g.conns))
	}
	h.Remove(stays)
	checkNoGroups(t, h)
}

// TestWhoHasNoGroupsPaysNothing: neither for those that others are in.
func TestWhoHasNoGroupsPaysNothing(t *testing.T) {
	h := New(Config{Logger: quiet()})
	for i := range 1_000 {
		if _, _, err := h.Admit(new(countingConn), fmt.Sprint("user-", i), "staff"); err != nil {
			t.Fatal(err)
		}
	}
	c := new(countingConn)
	if n := testing.AllocsPerRun(200, func() {
		if _, _, err := h.Admit(c, "somebody"); err != nil {
			t.Fatal(err)
		}
		h.Remove(c)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
