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
		if full := h.Full(); full != (want == ErrFull) {
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
	mustAdmitTo(t, h, "alice", "staff")
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
