package netpoll

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A token of a key pair is checked by a worker, and takes its time.
func TestRenewalByAKeyPair(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, func(c *Config) { c.CloseOnExpiry = true })
	c := r.upgrade("alice")
	forged := issuer.forged(t, "known")
	if a := c.auth(t, forged); a.Code != 4401 || a.Reason != "token signature wrong" {
		t.Errorf("forged: %+v", a)
	}
	_, _ = c.Write(longFrame(0x81, authText(issuer.token(t, "later", "alice"))))
	eventually(t, "the worker is held", func() bool { return issuer.held.Load() == 1 })
	// Everything else goes on meanwhile. A second token is not even looked at.
	r.deliver("alice", `{"type":"n"}`)
	if _, payload := c.readFrame(t); !bytes.HasPrefix(payload, []byte(`{"type":"n"`)) {
		t.Errorf("got %q", payload)
	}
	if a := c.auth(t, issuer.token(t, "known", "alice")); a.Code != 4429 || a.RetryAfter != 1 || !strings.Contains(a.Reason, "wait for the answer") {
		t.Errorf("a second one: %+v", a)
	}
	issuer.let()
	if a := c.authAnswered(t); !a.OK {
		t.Errorf("%+v", a)
	}
	if a := c.auth(t, issuer.token(t, "known", "alice")); !a.OK {
		t.Errorf("another one: %+v", a)
	}
	if s := r.server.Stats(); s.Renewals["renewed"] != 2 || s.Renewals["too_many"] != 1 || s.Renewals["token"] != 1 || s.Renewing != 0 {
		t.Errorf("%v, %d under way", s.Renewals, s.Renewing)
	}
}

// A message that begins as a token and is none has its limits, and its bytes are counted until it ends.
func TestUnfinishedTokens(t *testing.T) {
	t.Parallel()
	const total = 8 * leastPendingShare
	r := start(t, func(c *Config) { c.Loops, c.MaxMessage, c.PendingTotal = 1, 512, leastPendingShare })
	kept := strings.Repeat("x", 8000)
	c := r.upgrade("first")
	_, _ = c.Write(longFrame(0x01, `{"type":"auth","token":"`+kept))
	eventually(t, "it is counted", func() bool { return r.server.Stats().RecordBytes >= len(kept) })
	_, _ = c.Write(longFrame(0x80, `"}`)) // ends: no token, but a message
	if a := c.authAnswered(t); a.Code != 4401 {
		t.Errorf("%+v", a)
	}
	eventually(t, "it is not counted", func() bool { return r.server.Stats().RecordBytes == 0 })
	_, _ = c.Write(longFrame(0x01, `{"type":"auth","token":"`+kept))
	eventually(t, "it is counted", func() bool { return r.server.Stats().RecordBytes >= len(kept) })
	for i := range total / len(kept) {
		one := r.upgrade(fmt.Sprint("user", i))
		_, _ = one.Write(longFrame(0x01, `{"type":"auth","token":"`+kept))
	}
	eventually(t, "the oldest are closed", func() bool { return r.server.Stats().Ended["message_timeout"] > 0 })
	eventually(t, "the first one is", func() bool { return r.hub.ConnectionsOf("first") == 0 })
	eventually(t, "the bound holds", func() bool { s := r.server.Stats(); return s.RecordBytes <= leastPendingShare })
	late := r.upgrade("late")
	_, _ = late.Write(longFrame(0x01, `{"type":"auth","token":"`+kept))
	_, _ = late.Write(longFrame(0x80, strings.Repeat("x", 1000)))
	if opcode, payload := late.readFrame(t); opcode != 0x88 || binary.BigEndian.Uint16(payload) != 1009 {
		t.Errorf("got %x %q, want 1009", opcode, payload)
	}
	other := r.upgrade("other")
	_, _ = other.Write(longFrame(0x81, `{"type":"other","token":"`+kept))
	if opcode, payload := other.readFrame(t); opcode != 0x88 || binary.BigEndian.Uint16(payload) != 1009 {
		t.Errorf("got %x %q, want 1009", opcode, payload)
	}
}

// A flood of tokens has few of them checked.
func TestRenewalFlood(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	c := r.upgrade("alice")
	const flood = 300
	frame := longFrame(0x81, authText(signed(t, jwt.MapClaims{"sub": "alice"})))
	begun := time.Now()
	if _, err := c.Write(bytes.Repeat(frame, flood)); err != nil {
		t.Fatal(err)
	}
	total := func() (n uint64) {
		for _, of := range r.server.Stats().Renewals {
			n += of
		}
		return n
	}
	go func() { _, _ = io.Copy(io.Discard, c.r) }()
	eventually(t, "all are answered", func() bool { return total() == flood })
	good := int(r.server.Stats().Renewals["renewed"])
	if most := renewalBurst + int(time.Since(begun).Seconds()*renewalRate) + 1; good < 1 || good > most {
		t.Errorf("%d tokens were checked, want 1 to %d", good, most)
	}
	if s := r.server.Stats(); s.Renewals["too_many"] != uint64(flood-good) || s.Renewals["renewed"] != uint64(good) {
		t.Errorf("%v, want %d renewed", s.Renewals, good)
	}
}

// A connection whose token expires while the next one is checked does not end before that is done; nor does it last longer.
func TestTokenExpiresDuringTheCheck(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64 // of the wall clock
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	for name, tt := range map[string]struct {
		user    string // of the next token
		expired bool   // the first one had expired when that came
		stays   bool
	}{
		"a good one":                      {user: "alice", stays: true},
		"another user's":                  {user: "bob"},
		"a good one that comes too late":  {user: "alice", expired: true},
		"another user's, and too late so": {user: "bob", expired: true},
	} {
		t.Run(name, func(t *testing.T) {
			r, issuer := startIssuer(t, func(c *Config) {
				c.CloseOnExpiry, c.Now, c.AuthTimeout = true, clock, patience
				c.PingInterval, c.PongWait = time.Hour, 2*time.Hour // else the first ping may find it expired before the token comes
			})
			ahead.Store(0)
			c := r.upgradeAs(signed(t, jwt.MapClaims{"sub": "alice", "exp": time.Now().Add(30 * time.Minute).Unix()}))
			if tt.expired {
				ahead.Store(int64(40 * time.Minute))
			}
			_, _ = c.Write(longFrame(0x81, authText(issuer.token(t, "later", tt.user)))) // good for an hour
			if tt.expired {                                                              // it ends at once: before a worker begins, or while the worker is held
				c.expiredNow(t)
				return
			}
			eventually(t, "the worker is held", func() bool { return issuer.held.Load() == 1 })
			ahead.Store(int64(40 * time.Minute))
			open := false
			onTimer := func() {
				r.onConn("alice", func(c *conn) { c.onTimer(r.server.now()); open = c.state == stateOpen })
			}
			if onTimer(); !open {
				t.Error("it has ended before the token was checked")
			}
			issuer.let()
			if a := c.authAnswered(t); a.OK != tt.stays {
				t.Errorf("%+v", a)
			}
			if !tt.stays {
				c.expiredNow(t)
				return
			}
			if onTimer(); !open {
				t.Error("it has ended")
			}
		})
	}
}

// expiredNow reads the close frame of a connection whose token has expired.
func (c *raw) expiredNow(t *testing.T) {
	t.Helper()
	if opcode, payload := c.readFrame(t); opcode != 0x88 || binary.BigEndian.Uint16(payload) != 4401 {
		t.Errorf("got %x %q, want 4401", opcode, payload)
	}
}

// A token that is not checked in time changes nothing, whatever becomes of it later.
func TestRenewalTakesTooLong(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, func(c *Config) { c.AuthWorkers, c.PingInterval, c.PongWait = 1, time.Hour, 2*time.Hour })
	c := r.upgradeAs(signed(t, jwt.MapClaims{"sub": "alice", "groups": "a"}))
	_, _ = c.Write(longFrame(0x81, authText(issuer.token(t, "later", "alice")))) // without groups
	eventually(t, "the worker is held", func() bool { return issuer.held.Load() == 1 })
	r.onConn("alice", func(c *conn) {
		k, now := c.renewal(), r.server.now()
		if at := r.server.moment(c.loop.wheel.At(c)); at > k.deadline+r.server.tickLength {
			t.Errorf("the timer fires %s after the deadline", at-k.deadline)
		}
		k.deadline = now // it is over, however long the worker took to begin
		c.resetTimer(now)
	})
	if a := c.authAnswered(t); a.Code != 4503 || a.RetryAfter < 1 || a.Reason != "too many tokens to check at a time" {
		t.Errorf("%+v", a)
	}
	issuer.let()
	other := r.upgrade("bob") // the worker is free: it has done with alice's
	_, _ = other.Write(longFrame(0x81, authText(issuer.token(t, "known", "bob"))))
	eventually(t, "the next one is done", func() bool { s := r.server.Stats(); return s.Renewals["renewed"] == 1 && s.Renewals["busy"] == 1 })
	if all := r.groupsOf("alice"); !slices.Equal(all, []string{"a"}) {
		t.Errorf("in %q", all)
	}
}

// With a full queue the one that would wait longest is told to come again. Users with a good token come before those who only try.
func TestRenewalsInAFullQueue(t *testing.T) {
	t.Parallel()
	const most = 4
	r, issuer := startIssuer(t, func(c *Config) { c.AuthWorkers, c.AuthQueue, c.AuthTimeout = 1, most, patience })
	issuer.hold(r)
	var all []*raw
	for i := range most + 2 {
		c := r.upgrade(fmt.Sprint("user", i))
		_, _ = c.Write(longFrame(0x81, authText(issuer.token(t, "known", fmt.Sprint("user", i)))))
		eventually(t, "it is queued", func() bool { s := r.server.Stats(); return s.Renewing+int(s.Renewals["busy"]) == i+1 })
		all = append(all, c)
	}
	issuer.let()
	good, busy := 0, 0
	for _, c := range all {
		switch a := c.authAnswered(t); {
		case a.OK:
			good++
		case a.Code == 4503 && a.RetryAfter > 0:
			busy++
		default:
			t.Errorf("%+v", a)
		}
	}
	if good != most || busy != 2 {
		t.Errorf("%d were renewed, %d refused", good, busy)
	}
}

// A connection that ends while its token is checked leaves nothing behind, and gets no answer behind its close frame.
func TestConnectionEndsDuringTheCheck(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(r *rig, c *raw){
		"the client goes":   func(_ *rig, c *raw) { _ = c.Close() },
		"the client closes": func(_ *rig, c *raw) { _, _ = c.Write(masked(0x88, "\x03\xe8")) },
		"a command":         func(r *rig, _ *raw) { r.hub.Control("alice", `{"disconnect":{}}`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, issuer := startIssuer(t, nil)
			c := r.upgrade("alice")
			_, _ = c.Write(longFrame(0x81, authText(issuer.token(t, "later", "alice"))))
			eventually(t, "the worker is held", func() bool { return issuer.held.Load() == 1 })
			end(r, c)
			eventually(t, "it has ended", func() bool { s := r.server.Stats(); return r.hub.Connections() == 0 && s.Renewing == 0 })
			if name != "the client goes" {
				if opcode, payload := c.readFrame(t); opcode != 0x88 {
					t.Errorf("got %x %q", opcode, payload)
				}
				_, _ = c.Write(longFrame(0x81, authText(issuer.token(t, "known", "alice")))) // is discarded
			}
			issuer.let()
			eventually(t, "it has gone", func() bool { return r.server.Stats().Sockets == 0 })
			for _, l := range r.server.loops {
				done := make(chan struct{})
				l.do(func() {
					defer close(done)
					if l.renewing.Len() != 0 || l.renewalBytes != 0 || l.renewed.Len() != 0 {
						t.Errorf("%d renewals, %d bytes, %d limits are left", l.renewing.Len(), l.renewalBytes, l.renewed.Len())
					}
				})
				<-done
			}
		})
	}
}

// While connections are closed one after the other, those that are open renew their tokens.
func TestRenewalWhileDraining(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	c := r.upgrade("alice")
	r.server.draining.Store(true)
	if a := c.auth(t, signed(t, jwt.MapClaims{"sub": "alice"})); !a.OK {
		t.Errorf("%+v", a)
	}
}

// waitIdle waits until a job that is queued behind all others is done.
func (w *workers) waitIdle(t *testing.T) {
	t.Helper()
	done := make(chan struct{})
	k := &probeJob{done: done}
	k.job = job{work: k}
	w.put(&w.tokens, &k.job, 1<<20, 0)
	<-done
}

// hold has a worker wait, which has begun with nothing else, until release is called.
func (w *workers) hold(t *testing.T) (release func()) {
	t.Helper()
	k := &holdJob{begun: make(chan struct{}), end: make(chan struct{})}
	k.job = job{work: k}
	w.put(&w.tokens, &k.job, 1<<20, 0)
	<-k.begun
	release = sync.OnceFunc(func() { close(k.end) })
	t.Cleanup(release)
	return release
}

// holdJob is work that takes until it is told to end.
type holdJob struct {
	job
	begun, end chan struct{}
}

func (k *holdJob) run(*Server)  { close(k.begun); <-k.end }
func (k *holdJob) cancel(*loop) {}

// probeJob is work that only says that it was done.
type probeJob struct {
	job
	done chan struct{}
}

func (k *probeJob) run(*Server)  { close(k.done) }
func (k *probeJob) cancel(*loop) {}
