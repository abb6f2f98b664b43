package hub

import (
	"fmt"
	"slices"
	"testing"
)

// arrive admits a connection whose client asks for its id, and returns that.
func arrive(t *testing.T, h *Hub, c Conn, a Arrival) (id string, missed []string) {
	t.Helper()
	a.WantsID = true
	_, _, w, err := h.Arrive(c, a)
	if err != nil || w.Connection == "" || w.Connection != h.ConnectionID(c) {
		t.Fatalf("%+v, %v", w, err)
	}
	return w.Connection, payloads(w.Missed)
}

func TestOnlyAndExcept(t *testing.T) {
	t.Parallel()
	for _, resume := range []bool{false, true} {
		h := New(Config{Logger: quiet()})
		if resume {
			h = resuming(t, Limits{})
		}
		one, two, plain, bob := &client{}, &client{}, &client{}, &client{}
		first, _ := arrive(t, h, one, Arrival{User: "alice", Groups: []string{"g"}})
		second, _ := arrive(t, h, two, Arrival{User: "alice"})
		bobs, _ := arrive(t, h, bob, Arrival{User: "bob", Groups: []string{"g"}})
		if _, _, w, err := h.Arrive(plain, Arrival{User: "alice", Groups: []string{"g"}}); err != nil || w.Connection != "" || h.ConnectionID(plain) != "" {
			t.Errorf("who does not ask gets %+v, %v", w, err)
		}
		n := 0
		with := func(members string) string {
			n++
			return fmt.Sprintf(`{"type":"n","payload":%d,%s}`, n, members)
		}
		h.Deliver("alice", with(fmt.Sprintf(`"only":%q`, first)))               // 1
		h.Deliver("alice", with(fmt.Sprintf(`"except":%q`, first)))             // 2
		h.Deliver("alice", with(fmt.Sprintf(`"only":[%q,%q]`, second, bobs)))   // 3
		h.Deliver("alice", with(fmt.Sprintf(`"only":%q`, bobs)))                // 4: none of hers
		h.Deliver("alice", with(`"only":[]`))                                   // 5: the same
		h.Deliver("alice", with(`"only":null,"except":[]`))                     // 6: all
		h.Deliver("bob", with(fmt.Sprintf(`"except":%q`, bobs)))                // 7: his only one
		h.Deliver("alice", with(`"only":7`))                                    // 8: wrong
		h.Deliver("alice", with(`"except":["x"]`))                              // 9: wrong
		h.Deliver("nobody", with(`"only":7`))                                   // not read
		h.DeliverGroup("g", with(fmt.Sprintf(`"except":[%q]`, first)))          // 11: plain, bob
		h.Broadcast(with(fmt.Sprintf(`"except":[%q,%q]`, second, bobs)))        // 12: one, plain
		h.DeliverGroup("g", with(fmt.Sprintf(`"only":[%q,%q]`, second, first))) // 13: one; two is not in it
		h.broadcasts.close()
		h.RunBroadcasts(func() {})
		for c, want := range map[*client][]string{
			one: {"1", "6", "12", "13"}, two: {"2", "3", "6"}, plain: {"2", "6", "11", "12"}, bob: {"11"},
		} {
			got := payloads(c.take())
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("resume %v: %s got %q, want %q", resume, c.link.User(), got, want)
			}
		}
		s := h.Stats()
		if s.Unnamed != 3 || s.Invalid["only_invalid"] != 1 || s.Invalid["except_invalid"] != 1 || s.Offline != 1 {
			t.Errorf("%d unnamed, %d offline, %v", s.Unnamed, s.Offline, s.Invalid)
		}
		for _, c := range []Conn{one, two, plain, bob} {
			h.Remove(c)
		}
		for i := range h.shards {
			if n := h.shards[i].ids.Len(); n > 0 {
				t.Errorf("%d ids are left", n)
			}
		}
	}
}

// TestAConnectionKeepsItsID: what was for the connection before is replayed to the one that comes back for it, and to no other.
func TestAConnectionKeepsItsID(t *testing.T) {
	t.Parallel()
	h := resuming(t, Limits{})
	lost := &client{}
	id, _ := arrive(t, h, lost, Arrival{User: "alice"})
	h.Deliver("alice", numbered(1))
	since := receive(t, lost.take()[0]).ID
	h.Deliver("alice", fmt.Sprintf(`{"type":"n","payload":2,"only":%q}`, id))
	h.Deliver("alice", fmt.Sprintf(`{"type":"n","payload":3,"except":%q}`, id))
	h.Deliver("alice", numbered(4))
	if _, missed := arrive(t, h, &client{}, Arrival{User: "alice", Since: since}); !slices.Equal(missed, []string{"3", "4"}) {
		t.Errorf("another one missed %q", missed)
	}
	back := &client{} // while the lost one is not known to be lost
	same, missed := arrive(t, h, back, Arrival{User: "alice", Since: since, Connection: id})
	if same != id || !slices.Equal(missed, []string{"2", "4"}) {
		t.Errorf("%s came back as %s and missed %q", id, same, missed)
	}
	if h.ConnectionID(lost) != "" {
		t.Error("two connections have the same id")
	}
	h.Remove(lost)
	if h.ConnectionID(back) != id {
		t.Error("it lost its id with the end of the one before")
	}
	for _, text := range []string{"-", "AAAAAAAAAAA", "q83vEjRWeJB", id + "x", "!"} {
		if _, ok := parseConnID(text); ok {
			t.Errorf("%q is an id", text)
		}
	}
}
