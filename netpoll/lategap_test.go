package netpoll

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Who was let in unheard is told, once heard, from when on something may have been missed; who waited in time is not.
func TestLateIsTold(t *testing.T) {
	t.Parallel()
	r, a := startSubscriptions(t, nil, func(c *Config) { c.SubscribeWait, c.GapNotice = 100*time.Millisecond, true })
	before := time.Now()
	late := r.send(token(t, "alice"), "")
	late.answered(t, http.StatusSwitchingProtocols)
	open := time.Now()
	a.heard("alice")
	_, payload := late.readFrame(t)
	reason, since := gapOf(t, payload)
	if reason != "redis" || since.Before(before.Add(-time.Second)) || since.After(open.Add(time.Second)) {
		t.Errorf("told %q", payload)
	}
	if n := r.server.Stats().GapNotices; n != 1 {
		t.Errorf("%d notices are counted", n)
	}

	inTime := r.send(token(t, "bob"), "")
	r.awaitingIs(1)
	a.heard("bob")
	inTime.answered(t, http.StatusSwitchingProtocols)
	r.deliver("bob", `{"type":"n"}`)
	if _, payload := inTime.readFrame(t); strings.Contains(string(payload), "_gap") {
		t.Errorf("told without reason: %q", payload)
	}
}

// A gap of one user is told to that user's connections, and to nobody else's.
func TestGapToOneUser(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.GapNotice = true })
	var alices []*raw
	for range 3 {
		alices = append(alices, r.upgrade("alice"))
	}
	bob := r.upgrade("bob")
	since := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	r.server.TellGapTo("alice", since)
	r.server.TellGapTo("nobody", since)
	for i, client := range alices {
		_, payload := client.readFrame(t)
		if reason, when := gapOf(t, payload); reason != "redis" || !when.Equal(since) {
			t.Errorf("connection %d got %q", i, payload)
		}
	}
	for i := range 3 { // a notice would be ahead of one of these
		r.deliver("bob", fmt.Sprintf(`{"type":"n","payload":%d}`, i))
		if _, payload := bob.readFrame(t); strings.Contains(string(payload), "_gap") {
			t.Errorf("another user was told: %q", payload)
		}
	}
	if n := r.server.Stats().GapNotices; n != 3 {
		t.Errorf("%d notices are counted, want 3", n)
	}
	r.balanced()
}

func TestGapOfOneUserIsNotToldUnlessAskedFor(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	client := r.upgrade("alice")
	r.server.TellGapTo("alice", time.Now())
	r.deliver("alice", `{"type":"n"}`)
	if _, payload := client.readFrame(t); strings.Contains(string(payload), "_gap") {
		t.Errorf("told without being asked: %q", payload)
	}
}
