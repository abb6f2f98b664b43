package hub

import (
	"errors"
	"strings"
	"testing"
)

// Limits that change hold for what comes from then on; who is admitted stays.
func TestSetLimits(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	admit := func(user string, want error) *fakeConn {
		t.Helper()
		if full := h.Full(user); full != (want == ErrFull) {
			t.Errorf("before %s: full is %t with %d connections", user, full, h.Connections())
		}
		c := new(fakeConn)
		if _, _, err := h.Admit(c, user); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", user, err, want)
		}
		return c
	}
	first := admit("alice", nil)
	admit("alice", nil)
	admit("bob", nil)
	h.SetLimits(Limits{MaxConnections: 2, MaxNotification: 20})
	admit("carol", ErrFull)
	h.Deliver("alice", `{"type":"short"}`)
	h.Deliver("alice", `{"type":"longer than that"}`)
	if first.count() != 1 || h.Stats().Invalid["too_big"] != 1 || h.Connections() != 3 {
		t.Errorf("got %d, %+v", first.count(), h.Stats())
	}
	h.SetLimits(Limits{MaxConnections: 4, MaxPerUser: 1})
	admit("alice", ErrUserFull)
	admit("carol", nil)
	admit("dave", ErrFull)
	h.SetLimits(Limits{MaxPerUser: 2, ReplaceOldest: true})
	admit("alice", nil)
	if !first.replaced.Load() || h.ConnectionsOf("alice") != 2 {
		t.Errorf("the oldest was replaced: %t, %d are left", first.replaced.Load(), h.ConnectionsOf("alice"))
	}
}

// TestSetLimitOfBroadcasts: a lower bound holds from the next one on.
func TestSetLimitOfBroadcasts(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	mustAdmit(t, h, "alice", "staff")
	payload := `{"type":"x","payload":"` + strings.Repeat("x", 10_000) + `"}`
	for range 100 {
		h.DeliverGroup("staff", payload)
	}
	if n := h.BroadcastsWaiting(); n != 100 {
		t.Fatalf("%d wait", n)
	}
	h.SetLimits(Limits{MaxBroadcastBytes: 1 << 20})
	h.DeliverGroup("staff", payload)
	if n, bytes := h.BroadcastsWaiting(), h.Stats().BroadcastBytes; bytes > 1<<20/broadcastShare+1024 || n < 10 {
		t.Errorf("%d wait with %d bytes", n, bytes)
	}
	h.SetLimits(Limits{})
	for range 100 {
		h.DeliverGroup("staff", payload)
	}
	if n := h.BroadcastsWaiting(); n < 110 {
		t.Errorf("%d wait", n)
	}
}

// On a full hub a connection is let in that takes another one's place, and no other.
func TestReplacingOnAFullHub(t *testing.T) {
	t.Parallel()
	for _, perUser := range []int{1, 2, 3} {
		h := New(Config{Logger: quiet(), Limits: Limits{MaxConnections: perUser + 1, MaxPerUser: perUser, ReplaceOldest: true}})
		var alice []*fakeConn
		for range perUser {
			alice = append(alice, mustAdmit(t, h, "alice"))
		}
		mustAdmit(t, h, "bob")
		refused := func(user string) {
			t.Helper()
			if _, _, err := h.Admit(new(fakeConn), user); !errors.Is(err, ErrFull) || !h.Full(user) {
				t.Errorf("%s: %v, full is %t", user, err, h.Full(user))
			}
		}
		refused("carol")
		if perUser > 1 {
			refused("bob")
		}
		for n := range 5 * perUser {
			if h.Full("alice") || !h.Replaces("alice") {
				t.Fatal("there is no room for what takes no room")
			}
			alice = append(alice, mustAdmit(t, h, "alice"))
			if !alice[n].replaced.Load() || alice[n+1].replaced.Load() || h.Connections() != perUser+1 || h.ConnectionsOf("alice") != perUser {
				t.Fatalf("%d of a user: %d connections, %d of alice", perUser, h.Connections(), h.ConnectionsOf("alice"))
			}
		}
		refused("carol")
	}
}

// Replace lets nobody in but in place of the one that it is asked about.
func TestReplaceOnly(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet(), Limits: Limits{MaxPerUser: 2, ReplaceOldest: true}})
	try := func(may bool) (asked Conn, err error) {
		_, _, err = h.Replace(new(fakeConn), "alice", func(oldest Conn) bool { asked = oldest; return may })
		return asked, err
	}
	if asked, err := try(true); asked != nil || !errors.Is(err, ErrUserFull) || h.Connections() != 0 {
		t.Errorf("who has none: %v, %v", asked, err)
	}
	first := mustAdmit(t, h, "alice")
	if asked, err := try(true); asked != nil || !errors.Is(err, ErrUserFull) {
		t.Errorf("who may have one more: %v, %v", asked, err)
	}
	mustAdmit(t, h, "alice")
	if asked, err := try(false); asked != Conn(first) || !errors.Is(err, ErrUserFull) || first.replaced.Load() {
		t.Errorf("where it may not: %v, %v", asked, err)
	}
	if asked, err := try(true); asked != Conn(first) || err != nil || !first.replaced.Load() || h.Connections() != 2 {
		t.Errorf("where it may: %v, %v, %d connections", asked, err, h.Connections())
	}
}
