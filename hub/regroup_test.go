package hub

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/internal/names"
	"roost/internal/position"
)

func groupNames(c Conn, h *Hub) (all []string) {
	for _, m := range h.GroupsOf(c) {
		name := m.Group
		if m.Joined {
			name += "*"
		}
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func TestJoinAndLeave(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	one, two, bob := mustAdmit(t, h, "alice", "staff", "lobby"), mustAdmit(t, h, "alice", "staff", "lobby"), mustAdmit(t, h, "bob")
	h.Control("alice", `{"join":["room:42","lobby","staff"],"leave":["lobby","nowhere"]}`)
	want := []string{"lobby*", "room:42*", "staff"} // it left the lobby first, and came back
	for _, c := range []*fakeConn{one, two} {
		if got := groupNames(c, h); !slices.Equal(got, want) {
			t.Errorf("in %q, want %q", got, want)
		}
	}
	if got := groupNames(bob, h); len(got) > 0 {
		t.Errorf("bob is in %q", got)
	}
	later := mustAdmit(t, h, "alice", "staff")
	if got := groupNames(later, h); !slices.Equal(got, []string{"staff"}) {
		t.Errorf("one that came later is in %q", got)
	}
	h.Control("alice", `{"leave":"staff"}`)
	h.Control("alice", `{"join":null}`)
	h.Control("nobody", `{"join":["room:42"]}`)
	if s := h.Stats(); s.Commands != 3 || s.CommandsInvalid != 1 || s.GroupChanges["joined"] != 4 || s.GroupChanges["left"] != 5 || s.GroupChanges["refused"] != 0 {
		t.Errorf("%d commands, %d invalid, %v", s.Commands, s.CommandsInvalid, s.GroupChanges)
	}
	for _, c := range []*fakeConn{one, two, later, bob} {
		h.Remove(c)
	}
	checkNoGroups(t, h)
	h.regroupConn(one, regrouping{join: []string{"room:42"}, from: h.groupNumber.Load()}) // it has ended
	checkNoGroups(t, h)
}

func TestGroupsOfAConnectionAreBounded(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	c := mustAdmit(t, h, "alice", "first", "second")
	var list []string
	for i := range names.MaxGroups {
		list = append(list, fmt.Sprintf(`"room:%d"`, i))
	}
	h.Control("alice", `{"join":[`+strings.Join(list, ",")+`]}`)
	if n := len(h.GroupsOf(c)); n != names.MaxGroups {
		t.Errorf("in %d groups, want %d", n, names.MaxGroups)
	}
	h.Control("alice", `{"join":["one more"],"leave":["first"]}`)
	if s := h.Stats(); s.GroupChanges["refused"] != 2 || s.GroupChanges["joined"] != names.MaxGroups-1 {
		t.Errorf("%v", s.GroupChanges)
	}
	if !slices.Contains(groupNames(c, h), "one more*") {
		t.Error("there was room, and it has not joined")
	}
}

// TestJoiningIsInOrder: who joins gets nothing of the group that was published before, though it still waits.
func TestJoiningIsInOrder(t *testing.T) {
	t.Parallel()
	for _, resume := range []bool{false, true} {
		h := New(Config{Logger: quiet()})
		if resume {
			h = resuming(t, Limits{})
		}
		alice, bob := &client{}, &client{}
		for c, a := range map[*client]Arrival{alice: {User: "alice"}, bob: {User: "bob", Groups: []string{"g"}}} {
			if _, _, _, err := h.Arrive(c, a); err != nil {
				t.Fatal(err)
			}
		}
		h.DeliverGroup("g", numbered(1))
		h.Control("alice", `{"join":["g"]}`)
		h.DeliverGroup("g", numbered(2))
		h.Control("alice", `{"leave":["g"]}`)
		h.DeliverGroup("g", numbered(3))
		ended := make(chan struct{})
		go func() {
			h.RunBroadcasts(func() {})
			close(ended)
		}()
		h.EndBroadcasts(t.Context())
		<-ended
		got := payloads(alice.take())
		if !slices.Equal(got, []string{"2"}) {
			t.Errorf("resume %v: alice got %q, want the second alone", resume, got)
		}
		if got := payloads(bob.take()); len(got) != 3 {
			t.Errorf("resume %v: bob got %q", resume, got)
		}
	}
}

// TestLeavingInTheMiddle: while a broadcast is under way some leave that have had it, and some that have not, and each gets it
// once.
func TestLeavingInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, resume := range []bool{false, true} {
		h := New(Config{Logger: quiet()})
		if resume {
			h = resuming(t, Limits{})
		}
		const members = 3*broadcastChunk + 7
		conns := make([]*client, members)
		for i := range conns {
			conns[i] = &client{}
			if _, _, _, err := h.Arrive(conns[i], Arrival{User: fmt.Sprint("user", i), Groups: []string{"g"}}); err != nil {
				t.Fatal(err)
			}
		}
		h.DeliverGroup("g", numbered(1))
		h.DeliverGroup("g", numbered(2))
		pauses := 0
		pause := func() {
			if pauses++; pauses != 2 { // 256 have had the first one
				return
			}
			for i := 0; i < members; i += 3 {
				h.Control(fmt.Sprint("user", i), `{"leave":["g"]}`)
			}
			h.DeliverGroup("g", numbered(3))
			h.broadcasts.close()
		}
		h.RunBroadcasts(pause)
		for i, c := range conns {
			want := []string{"1", "2", "3"}
			if i%3 == 0 {
				want = want[:2]
			}
			if got := payloads(c.take()); !slices.Equal(got, want) {
				t.Errorf("resume %v: connection %d got %q, want %q", resume, i, got, want)
			}
		}
	}
}

// Who leaves a group is told of what was dropped while it was in, as those who stay are later.
func TestLeaverIsToldOfALoss(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*Hub, Conn){
		"by a command": func(h *Hub, _ Conn) { h.Control("alice", `{"leave":["g"]}`) },
		"by its token": func(h *Hub, c Conn) { h.Renew(c, []string{"other"}) },
	} {
		now := time.Unix(1_800_000_000, 0)
		h := New(Config{Logger: quiet(), GapNotice: true, Now: func() time.Time { return now }})
		alice, bob, carol := mustAdmit(t, h, "alice", "g", "other"), mustAdmit(t, h, "bob", "g"), mustAdmit(t, h, "carol", "other")
		for range maxBroadcasts + 10 {
			h.DeliverGroup("g", `{"type":"n"}`)
		}
		leave(h, alice)
		if alice.count() != maxBroadcasts || !slices.Equal(alice.missed, []time.Time{now}) {
			t.Errorf("%s: alice got %d, told of %v", name, alice.count(), alice.missed)
		}
		leave(h, alice) // is in it no more
		broadcasting(t, h)
		waitUntil(t, "what waits", done(h))
		h.EndBroadcasts(t.Context()) // with the notices
		if alice.count() != maxBroadcasts || len(alice.missed) != 1 || bob.count() != maxBroadcasts || len(bob.missed) != 1 || len(carol.missed) != 0 {
			t.Errorf("%s: alice got %d, told of %v; bob %d, %v; carol told of %v", name, alice.count(), alice.missed, bob.count(), bob.missed, carol.missed)
		}
	}
}

// While a notice is under way some leave that have had it, and some that have not, and each has it once.
func TestLeavingInTheMiddleOfANotice(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet(), GapNotice: true})
	const members = 3*broadcastChunk + 7
	conns := make([]*fakeConn, members)
	for i := range conns {
		conns[i] = mustAdmit(t, h, fmt.Sprint("user", i), "g")
	}
	for range maxBroadcasts + 1 {
		h.DeliverGroup("g", `{"type":"n"}`)
	}
	told := func() (n int) {
		for _, c := range conns {
			n += len(c.missed)
		}
		return n
	}
	left := false
	h.RunBroadcasts(func() {
		if n := told(); left || n == 0 {
			return
		} else if n == members {
			t.Fatal("all were told at once")
		}
		left = true
		for i := 0; i < members; i += 3 {
			h.Control(fmt.Sprint("user", i), `{"leave":["g"]}`)
		}
		h.broadcasts.close()
	})
	for i, c := range conns {
		if len(c.missed) != 1 || c.count() != maxBroadcasts {
			t.Errorf("connection %d got %d, told of %v", i, c.count(), c.missed)
		}
	}
}

// payloads are those of notifications as numbered makes them.
func payloads(all []*Notification) (list []string) {
	for _, n := range all {
		_, rest, _ := strings.Cut(string(n.Frame), `"payload":`)
		payload, _, _ := strings.Cut(rest, ",")
		list = append(list, payload)
	}
	return list
}

// TestNobodyResumesWithGroupsThatWereJoined: another instance would not know of them, so that the client is told of a gap. Once
// it has left them it can resume again.
func TestNobodyResumesWithGroupsThatWereJoined(t *testing.T) {
	t.Parallel()
	h := resuming(t, Limits{})
	go h.RunBroadcasts(func() {})
	defer h.EndBroadcasts(t.Context())
	alice, bob := &client{}, &client{}
	for user, c := range map[string]*client{"alice": alice, "bob": bob} {
		if _, _, _, err := h.Arrive(c, Arrival{User: user}); err != nil {
			t.Fatal(err)
		}
	}
	last := func(c *client) string {
		t.Helper()
		got := c.take()
		if len(got) != 1 {
			t.Fatalf("got %d", len(got))
		}
		return receive(t, got[0]).ID
	}
	h.Deliver("alice", numbered(1))
	exact := last(alice)
	h.Control("alice", `{"join":["g"]}`)
	h.Deliver("alice", numbered(2))
	partial := last(alice)
	if position.IsPartial(exact) || !position.IsPartial(partial) || !position.Valid([]byte(partial)) {
		t.Errorf("ids %q and, in the group, %q", exact, partial)
	}
	if p, ok := h.Position(alice); !ok || !position.IsPartial(p.String()) || !p.Partial {
		t.Errorf("a ping is answered with %q", p)
	}
	h.Deliver("bob", numbered(3))
	if id := last(bob); position.IsPartial(id) {
		t.Errorf("bob, who is in no group, gets %q", id)
	}
	_, _, w, err := h.Arrive(&client{}, Arrival{User: "alice", Since: partial})
	if err != nil || w.Result != ResumeRefused || h.Stats().Resume.Results["groups"] != 1 {
		t.Errorf("%+v, %v, %v", w, err, h.Stats().Resume.Results)
	}
	h.Control("alice", `{"leave":["g"]}`)
	h.Remove(bob)
	h.Deliver("alice", numbered(4))
	exact = last(alice)
	if _, _, w, err = h.Arrive(&client{}, Arrival{User: "alice", Since: exact}); err != nil || w.Result != ResumeDone {
		t.Errorf("%q: %+v, %v", exact, w, err)
	}
	h.Control("alice", `{"join":["g"]}`)
	h.Remove(alice)
	if len(h.stream.partial) != 2 { // the two that came back
		t.Errorf("%d connections have partial positions", len(h.stream.partial))
	}
}
