package hub

import (
	"fmt"
	"slices"
	"testing"
)

// The members of one hub make another one with the same connections, in the same order and groups.
func TestMembersMakeAnotherHub(t *testing.T) {
	t.Parallel()
	limits := Limits{MaxPerUser: 3, ReplaceOldest: true}
	old, next := New(Config{Limits: limits}), New(Config{Limits: limits})
	probe := &fakeConn{}
	_, _, _ = old.Admit(probe, "\x00probe")
	conns := make(map[Conn]string)
	for i := range 30 {
		c := &fakeConn{}
		if _, _, err := old.Admit(c, fmt.Sprint("user ", i%10), fmt.Sprint("group ", i%3), "all"); err != nil {
			t.Fatal(err)
		}
		conns[c] = fmt.Sprint("user ", i%10)
	}
	old.Control("user 3", `{"join":["room:42"],"leave":["all"]}`)
	copies := make(map[Conn]Conn) // by the original
	old.Members(func(c Conn, state []byte) {
		if c == Conn(probe) {
			t.Error("the server's own health check is among the members")
		}
		copies[c] = &fakeConn{}
		if err := next.Join(copies[c], c.HubLink().User(), state); err != nil {
			t.Error(err)
		}
	})
	if len(copies) != len(conns) || next.Connections() != len(conns) || next.Users() != 10 {
		t.Fatalf("%d members, %d joined of %d users; want %d of 10", len(copies), next.Connections(), next.Users(), len(conns))
	}
	for c, user := range conns {
		if got := copies[c].HubLink(); got.User() != user || got.seat != c.HubLink().seat {
			t.Errorf("%s in seat %d is %s in seat %d", user, c.HubLink().seat, got.User(), got.seat)
		}
	}
	for c := range conns {
		if got, want := groupNames(copies[c], next), groupNames(c, old); !slices.Equal(got, want) {
			t.Errorf("in the groups %q, want %q", got, want)
		}
	}
	for i := range 3 {
		if got := len(next.groups.shard(fmt.Sprint("group ", i)).groups.Get(fmt.Sprint("group ", i)).conns); got != 10 {
			t.Errorf("group %d has %d members, want 10", i, got)
		}
	}
}

// A hub with a lower limit refuses some, and still knows whose they were.
func TestJoinWithoutRoom(t *testing.T) {
	t.Parallel()
	h := New(Config{Limits: Limits{MaxConnections: 1}})
	first, second := &fakeConn{}, &fakeConn{}
	if err := h.Join(first, "alice", []byte{1, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if err := h.Join(second, "bob", []byte{1, 0, 0, 0}); err != ErrFull || second.HubLink().User() != "bob" {
		t.Errorf("%v for %q, want ErrFull for bob", err, second.HubLink().User())
	}
	if total, _ := h.Remove(second); total != 1 {
		t.Errorf("%d connections after the end of one that had not joined, want 1", total)
	}
}

// A state that can't be read does nothing.
func TestJoinWithABrokenState(t *testing.T) {
	t.Parallel()
	h := New(Config{})
	for _, state := range [][]byte{nil, {1}, {0, 0, 0, 0}, {3, 0, 0, 0}, {2, 0}, {2, 0, 1}, {2, 0, 2, 0, 0, 1, 'a'}, {2, 0, 0}, {2, 0, 0, 0, 0}} {
		if err := h.Join(&fakeConn{}, "alice", state); err == nil || h.Connections() != 0 {
			t.Errorf("%v: %v, with %d connections", state, err, h.Connections())
		}
	}
}

// The version before says from where on a connection is in a group of those alone that a command had it join.
func TestJoinWithTheStateOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	h := New(Config{})
	c := &fakeConn{}
	if err := h.Join(c, "alice", []byte{1, 0, 2, 0, 1, 'a', 1, 9, 1, 'b', 0}); err != nil {
		t.Fatal(err)
	}
	if got := groupNames(c, h); !slices.Equal(got, []string{"a", "b*"}) {
		t.Errorf("in %q", got)
	}
	if number := h.shard(h.hash("alice")).grouped.Get(c.HubLink())[1].from; number != 9 {
		t.Errorf("in b behind notification %d, want 9", number)
	}
}
