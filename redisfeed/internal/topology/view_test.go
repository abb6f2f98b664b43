package topology

import (
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
)

func nodes(addrs ...string) (all []redis.ClusterNode) {
	for _, addr := range addrs {
		all = append(all, redis.ClusterNode{Addr: addr})
	}
	return all
}

func TestView(t *testing.T) {
	t.Parallel()
	v := newView("10.0.0.1:7000", []redis.ClusterSlot{
		{Start: 5461, End: 10922, Nodes: nodes("10.0.0.2:7000", "10.0.0.5:7000")},
		{Start: 0, End: 5460, Nodes: nodes("10.0.0.1:7000", "10.0.0.4:7000")},
		{Start: 10923, End: 12000, Nodes: nodes("10.0.0.1:7000", "10.0.0.4:7000")}, // a second range of the same
		{Start: 12001, End: 12001},
	})
	if !slices.Equal(v.Masters, []string{"10.0.0.1:7000", "10.0.0.2:7000"}) {
		t.Errorf("masters: %v", v.Masters)
	}
	if !slices.Equal(v.Nodes, []string{"10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.4:7000", "10.0.0.5:7000"}) {
		t.Errorf("nodes: %v", v.Nodes)
	}
	for slot, want := range map[uint16]string{0: "10.0.0.1:7000", 5460: "10.0.0.1:7000", 5461: "10.0.0.2:7000", 10922: "10.0.0.2:7000",
		10923: "10.0.0.1:7000", 12000: "10.0.0.1:7000", 12001: "", 16383: ""} {
		if got := v.OwnerOf(slot); got != want {
			t.Errorf("slot %d is %q's, want %q", slot, got, want)
		}
	}
	if !v.HasMaster("10.0.0.2:7000") || v.HasMaster("10.0.0.5:7000") || !v.HasNode("10.0.0.5:7000") || v.HasNode("10.0.0.9:7000") {
		t.Error("masters and nodes are taken for each other")
	}
}

// A node that answers nonsense does no harm: slots that there are not are left out, and of two owners the last counts.
func TestOddViews(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ranges []redis.ClusterSlot
		owners map[uint16]string
	}{
		"no answer":         {nil, map[uint16]string{0: "", Slots - 1: ""}},
		"beyond the end":    {[]redis.ClusterSlot{{Start: Slots - 1, End: Slots + 5, Nodes: nodes("a:1")}}, map[uint16]string{Slots - 2: "", Slots - 1: "a:1"}},
		"before the first":  {[]redis.ClusterSlot{{Start: -7, End: 0, Nodes: nodes("a:1")}}, map[uint16]string{0: "a:1", 1: ""}},
		"the wrong way":     {[]redis.ClusterSlot{{Start: 9, End: 3, Nodes: nodes("a:1")}}, map[uint16]string{3: "", 6: "", 9: ""}},
		"twice":             {[]redis.ClusterSlot{{Start: 0, End: 9, Nodes: nodes("a:1")}, {Start: 5, End: 5, Nodes: nodes("b:1")}}, map[uint16]string{4: "a:1", 5: "b:1", 6: "a:1"}},
		"it names itself ?": {[]redis.ClusterSlot{{Start: 0, End: 9, Nodes: nodes("?:7")}}, map[uint16]string{0: "10.0.0.1:7"}},
	} {
		v := newView("10.0.0.1:7000", test.ranges)
		for slot, want := range test.owners {
			if got := v.OwnerOf(slot); got != want {
				t.Errorf("%s: slot %d is %q's, want %q", name, slot, got, want)
			}
		}
	}
}

func TestSameViews(t *testing.T) {
	t.Parallel()
	of := func(end int, addrs ...string) *View {
		return newView("10.0.0.1:7000", []redis.ClusterSlot{{Start: 0, End: end, Nodes: nodes(addrs...)}})
	}
	v := of(100, "10.0.0.1:7000")
	for name, test := range map[string]struct {
		other *View
		same  bool
	}{
		"the same":       {of(100, "10.0.0.1:7000"), true},
		"a replica more": {of(100, "10.0.0.1:7000", "10.0.0.4:7000"), true},
		"a slot more":    {of(101, "10.0.0.1:7000"), false},
		"another master": {of(100, "10.0.0.4:7000"), false},
		"none":           {nil, false},
	} {
		if v.Same(test.other) != test.same {
			t.Errorf("%s: want %v", name, test.same)
		}
	}
}

// A node may not know the address by which it is reached.
func TestReachable(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ addr, from, want string }{
		{"10.0.0.2:7000", "10.0.0.1:7000", "10.0.0.2:7000"},
		{":7001", "10.0.0.1:7000", "10.0.0.1:7001"},
		{"?:7001", "10.0.0.1:7000", "10.0.0.1:7001"},
		{"127.0.0.1:7001", "10.0.0.1:7000", "10.0.0.1:7001"},
		{"127.0.0.1:7001", "127.0.0.1:7000", "127.0.0.1:7001"},
		{"127.0.0.1:7001", "localhost:7000", "127.0.0.1:7001"},
		{"10.0.0.2:0", "10.0.0.1:7000", "10.0.0.2:7000"},
		{"[::1]:7001", "[fd00::1]:7000", "[fd00::1]:7001"},
		{"nonsense", "10.0.0.1:7000", "nonsense"},
	} {
		if got := reachable(test.addr, test.from); got != test.want {
			t.Errorf("%s, said by %s: %q, want %q", test.addr, test.from, got, test.want)
		}
	}
}
