package hub

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"
)

// Connections come and go at random, up to hundreds of a user; a map
// of counts is the model.
func TestRegistryLikeAMap(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	model := make(map[string]int)
	var here []*fakeConn
	for step := range 20_000 {
		// Growing at first, shrinking in the end.
		if len(here) == 0 || rand.IntN(20_000) > step {
			user := fmt.Sprint("user-", int(rand.ExpFloat64()*20))
			here = append(here, mustAdmit(t, h, user))
			model[user]++
		} else {
			i := rand.IntN(len(here))
			c := here[i]
			here[i] = here[len(here)-1]
			here = here[:len(here)-1]
			model[c.link.User()]--
			if _, ofUser := h.Remove(c); ofUser != model[c.link.User()] {
				t.Fatalf("%d left of %s, want %d", ofUser, c.link.User(), model[c.link.User()])
			}
		}
	}
	for user, want := range model {
		if got := h.ConnectionsOf(user); got != want {
			t.Errorf("%s has %d connections, want %d", user, got, want)
		}
		h.Deliver(user, `{"type":"x"}`)
	}
	for _, c := range here {
		if c.count() != 1 {
			t.Fatalf("a connection of %s got %d notifications, want 1", c.link.User(), c.count())
		}
	}
}

func TestConnectionsOfAUserShareTheName(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	first := mustAdmit(t, h, strings.Clone("alice"))
	second := mustAdmit(t, h, strings.Clone("alice"))
	h.Remove(first)
	third := mustAdmit(t, h, strings.Clone("alice"))
	for _, c := range []*fakeConn{second, third} {
		if unsafe.StringData(c.link.User()) != unsafe.StringData(first.link.User()) {
			t.Error("a later connection keeps its own copy of the user's name")
		}
	}
}

// The memory left when everybody has gone does not depend on how many there
// were.
func TestRegistryGivesMemoryBack(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	var conns []*fakeConn
	for i := range 20_000 {
		conns = append(conns, mustAdmit(t, h, fmt.Sprint("user-", i/2)))
		if i%4 == 0 {
			conns = append(conns, mustAdmit(t, h, "many"))
		}
	}
	h.Deliver("many", `{"type":"x"}`)
	for _, c := range conns {
		h.Remove(c)
	}
	for i := range h.shards {
		s := &h.shards[i]
		if s.users.used > 0 || len(s.users.slots) > minSlots {
			t.Errorf("shard %d has %d users, and room for %d", i, s.users.used, len(s.users.slots))
		}
		if s.spare != nil && (cap(s.spare.conns) > maxSpare || s.spare.conns[:1][0] != nil) {
			t.Errorf("shard %d keeps room for %d, and in it %v", i, cap(s.spare.conns), s.spare.conns[:1][0])
		}
	}
	if b := h.spareBatch.kept.Load(); b != nil {
		t.Errorf("a batch for %d connections is kept", cap(b.conns))
	}
}

func TestRegistryAllocations(t *testing.T) {
	h := New(Config{Logger: quiet()})
	for i := range 1_000 {
		mustAdmit(t, h, fmt.Sprint("user-", i))
	}
	for _, tc := range []struct{ name, user string }{
		{"a user's only connection comes and goes", "somebody"},
		{"a user's second connection comes and goes", "user-7"},
	} {
		c := new(countingConn)
		n := testing.AllocsPerRun(200, func() {
			if _, _, err := h.Admit(c, tc.user); err != nil {
				t.Fatal(err)
			}
			h.Remove(c)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations, want 0", tc.name, n)
		}
	}
}
