package netpoll

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"roost/wsproto/auth"
	"roost/wsproto/handshake"
)

// setRules changes the rules of a server that serves.
func (r *rig) setRules(change func(*Rules)) {
	r.t.Helper()
	next := r.server.rules.Load().Rules
	change(&next)
	if err := r.server.SetRules(next); err != nil {
		r.t.Fatal(err)
	}
}

// answered asks for an upgrade and checks the status.
func (r *rig) answered(user string, want int) {
	r.t.Helper()
	if response, _ := r.ask(user); response.StatusCode != want {
		r.t.Errorf("%s is answered %s, want %d", user, response.Status, want)
	}
}

// A new upgrader decides about new clients; connected ones stay.
func TestSetRulesUpgrader(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	staying := r.connect("alice")
	upgrader := newUpgrader(t, auth.Config{Keys: auth.Keys{Secret: []byte("another secret of thirty-two bytes")}}, handshake.Config{})
	r.setRules(func(next *Rules) { next.Upgrader, next.ConnectionLines = upgrader, 7 })
	if limit := r.server.lines.limit; limit == nil || limit.Burst() != 7 {
		t.Error("the lines about connections are not limited")
	}
	r.answered("bob", http.StatusUnauthorized)
	r.deliver("alice", `{"type":"n"}`)
	if _, message, err := staying.ReadMessage(); err != nil || !strings.HasPrefix(string(message), `{"type":"n"`) {
		t.Errorf("who was there got %s, %v", message, err)
	}
	if err := r.server.SetRules(Rules{}); err == nil || r.server.upgrader() != upgrader {
		t.Errorf("rules without an upgrader: %v", err)
	}
}

// A token that waits for a worker is checked by the upgrader of now: a key that was taken out lets nobody in any more.
func TestSetRulesWhileTokensWait(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, func(c *Config) { c.AuthWorkers = 1 })
	r.send(issuer.token(t, "later", "held"), "")
	eventually(t, "the worker to be held", func() bool { return issuer.held.Load() == 1 })
	waiting := r.send(issuer.token(t, "known", "waiting"), "")
	eventually(t, "another token to wait", func() bool { return r.server.Stats().Authenticating == 2 })
	upgrader := newUpgrader(t, auth.Config{}, handshake.Config{})
	r.setRules(func(next *Rules) { next.Upgrader = upgrader })
	issuer.let()
	waiting.answered(t, http.StatusUnauthorized)
}

// A bound on addresses counts those that came since it is there, and gives their places back when it is gone.
func TestSetRulesAddresses(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.connect("before")
	r.setRules(func(next *Rules) { next.MaxPerIP = 1 })
	counted := r.connect("counted")
	r.answered("refused", http.StatusTooManyRequests)
	r.setRules(func(next *Rules) { next.MaxPerIP = 0 })
	r.connect("free")
	_ = counted.Close()
	eventually(t, "the place to be given back", func() bool {
		return r.server.perIP.Len() == 0
	})
}

// The limiter of handshakes starts over only if its rate changes: reloads don't let a storm in.
func TestSetRulesHandshakes(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.HandshakeRate, c.HandshakeBurst = 1, 2 })
	first := r.server.rules.Load().handshakes
	for first.Take(1, r.server.now()) {
	}
	r.setRules(func(next *Rules) { next.QueueTotal = 1 << 20 })
	if r.server.rules.Load().handshakes != first {
		t.Error("another rule gave the handshakes a new burst")
	}
	r.setRules(func(next *Rules) { next.HandshakeRate = 0 })
	for range 3 {
		r.connect("alice")
	}
	for again := true; again; { // a second later there is room for another one
		r.setRules(func(next *Rules) { next.HandshakeRate = 0 })
		begun := time.Now()
		r.setRules(func(next *Rules) { next.HandshakeRate, next.HandshakeBurst = 1, 1 })
		r.connect("alice")
		response, _ := r.ask("alice")
		late := time.Since(begun) >= time.Second
		if again = late && response.StatusCode == http.StatusSwitchingProtocols; !again && response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("the second is answered %s", response.Status)
		}
	}
}

// Notifications for slow clients are bounded by the current rule.
func TestSetRulesQueueTotal(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.upgrade("slow")
	notification := `{"type":"n","payload":"` + strings.Repeat("x", 50_000) + `"}`
	eventually(t, "something waits", func() bool { r.deliverThrough("slow", notification); return r.server.Stats().Waiting > 2 })
	r.setRules(func(next *Rules) { next.QueueTotal = 2 * 1000 })
	r.deliver("slow", notification)
	eventually(t, "one is dropped", func() bool { return r.server.Stats().Failed["queues_full"] == 1 })
	r.setRules(func(next *Rules) { next.QueueTotal = 0 })
	queued := r.server.Stats().Queued
	r.deliver("slow", notification)
	eventually(t, "one more waits, or is dropped", func() bool { s := r.server.Stats(); return s.Queued > queued || s.FailedTotal() > 1 })
	if failed := r.server.Stats().Failed; failed["queues_full"] != 1 {
		t.Errorf("failed without a bound: %v", failed)
	}
}

// Lines about connections follow the rule of now.
func TestLineLimitChanges(t *testing.T) {
	t.Parallel()
	l := newConnLog(nil, 0)
	l.setRate(1)
	first := l.limit
	l.setRate(1)
	if l.limit != first || !l.allow(leftOut{connected: 1}) {
		t.Error("the same rate begins again")
	}
	l.setRate(0)
	for range 3 {
		if !l.allow(leftOut{connected: 1}) {
			t.Error("a line is left out without a limit")
		}
	}
}
