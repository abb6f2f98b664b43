package hub

import (
	"strings"
	"testing"
)

func TestNotificationsThatAreTooBig(t *testing.T) {
	t.Parallel()
	const fits = `{"type":"x"}`
	h := New(Config{Logger: quiet(), Limits: Limits{MaxNotification: len(fits)}})
	alice := mustAdmit(t, h, "alice")
	h.Deliver("alice", fits)
	h.Deliver("alice", fits+" ")
	h.Deliver("alice", strings.Repeat("\xff", len(fits)+1)) // its size comes before its content
	h.Deliver("nobody", fits+" ")
	s := h.Stats()
	if alice.count() != 1 || s.Invalid["too_big"] != 2 || s.Invalid["invalid_utf8"] != 0 || s.Offline != 1 {
		t.Errorf("alice got %d, stats %+v", alice.count(), s)
	}
}

func TestNoLimitOnNotifications(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	alice := mustAdmit(t, h, "alice")
	h.Deliver("alice", `{"type":"`+strings.Repeat("x", 1<<20)+`"}`)
	if alice.count() != 1 {
		t.Errorf("alice got %d, stats %+v", alice.count(), h.Stats())
	}
}

func TestCheckSize(t *testing.T) {
	t.Parallel()
	for limit, fine := range map[int]bool{0: true, 2: false, 3: true} {
		if err := CheckSize("abc", limit); (err == nil) != fine {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}
