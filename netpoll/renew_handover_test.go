package netpoll

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A renewal that is under way goes over to the next process, as do half a message, an answer that waits and the limit.
func TestHandoverOfRenewals(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, func(c *Config) {
		c.CloseOnExpiry, c.AuthTimeout, c.QueueMessages, c.AuthWorkers = true, patience, 1<<20, 2
		c.PingInterval, c.PongWait = time.Hour, 2*time.Hour // a ping would forget a limit that is over
	})
	later := time.Now().Add(2 * time.Hour).Unix()
	next := func(user string) string { return signed(t, jwt.MapClaims{"sub": user, "exp": later, "groups": "new"}) }
	checking := r.upgrade("checking")
	_, _ = checking.Write(longFrame(0x81, authText(issuer.token(t, "later", "checking"))))
	eventually(t, "the worker is held", func() bool { return issuer.held.Load() == 1 })
	half := r.upgrade("half")
	message := longFrame(0x81, authText(next("half")))
	_, _ = half.Write(message[:len(message)/2])
	eventually(t, "half of it is kept", func() bool { return r.server.Stats().RecordBytes > 0 })
	deaf := r.upgrade("deaf")
	eventually(t, "one is stalled", func() bool {
		r.deliver("deaf", `{"type":"n","payload":"`+strings.Repeat("x", 20_000)+`"}`)
		return r.server.Stats().Stalled == 1
	})
	_, _ = deaf.Write(longFrame(0x81, authText(next("deaf"))))
	eventually(t, "its answer waits", func() bool { return r.server.Stats().Renewals["renewed"] == 1 })
	if n := r.server.Stats().RecordBytes; n == 0 {
		t.Error("nothing is kept")
	}
	after, handed := r.handOver(nil)
	if handed.Connections != 3 {
		t.Fatalf("%+v", handed)
	}
	s := r.server.Stats()
	if s.Renewing != 0 || s.RecordBytes != 0 {
		t.Errorf("%d are under way in the old one, %d bytes kept", s.Renewing, s.RecordBytes)
	}
	issuer.let()
	if a := checking.authAnswered(t); !a.OK {
		t.Errorf("checking: %+v", a)
	}
	_, _ = half.Write(message[len(message)/2:])
	if a := half.authAnswered(t); !a.OK || after.expiresOf("half") != expiry(later+5) {
		t.Errorf("half: %+v", a)
	}
	for _, user := range []string{"half", "deaf"} {
		if all := after.groupsOf(user); !slices.Equal(all, []string{"new"}) {
			t.Errorf("%s is in %q", user, all)
		}
	}
	limited := false
	after.onConn("deaf", func(c *conn) { _, limited = c.loop.renewed.Whole(c) })
	if !limited {
		t.Error("the limit has not gone over")
	}
	for answers := 0; answers == 0; {
		if _, text := deaf.readFrameOfAnyLength(t); bytes.HasPrefix(text, []byte(`{"type":"_auth","payload":{"ok":true`)) {
			answers++
		}
	}
	if n := r.server.Stats().Renewals["renewed"]; n != 1 {
		t.Errorf("%d were renewed in the old one", n)
	}
	if n := after.server.Stats().Renewals["renewed"]; n != 2 {
		t.Errorf("%d were renewed in the new one", n)
	}
	_ = deaf.Close()
}

// A handover that fails ends no renewal, and while it is under way no groups change.
func TestRenewalsGoOnWhenAHandoverFails(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, func(c *Config) { c.AuthTimeout = patience })
	c := r.upgradeAs(signed(t, jwt.MapClaims{"sub": "alice", "groups": "old"}))
	_, _ = c.Write(longFrame(0x81, authText(issuer.token(t, "later", "alice"))))
	eventually(t, "the worker is held", func() bool { return issuer.held.Load() == 1 })
	m, _ := r.begin(nil)
	m.freeze()
	issuer.let()
	r.server.workers.waitIdle(t)
	if all := r.groupsOf("alice"); !slices.Equal(all, []string{"old"}) {
		t.Errorf("in %q while nothing may change", all)
	}
	m.out.Abort()
	m.in.Abort()
	if a := c.authAnswered(t); !a.OK {
		t.Errorf("%+v", a)
	}
	if all := r.groupsOf("alice"); len(all) != 0 {
		t.Errorf("in %q", all)
	}
}
