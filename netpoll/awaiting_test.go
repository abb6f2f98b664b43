package netpoll

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/hub"
	"roost/wsproto"
)

// silent checks that a client has got nothing, not a byte, in a while that would have sufficed.
func (c *raw) silent(t testing.TB) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if b, err := c.r.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q, %v before its time", b, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(15 * time.Second))
}

// The 101 waits until the user is heard; the connection is in the hub only then, and what is delivered from then on
// comes behind it.
func TestHandshakeWaitsForAudience(t *testing.T) {
	t.Parallel()
	r, a := startAudience(t, nil, func(c *Config) { c.AudienceWait = time.Minute })
	client := r.send(token(t, "alice"), "")
	r.awaitingIs(1)
	client.silent(t)
	if r.hub.Connections() != 0 {
		t.Error("it is registered before its user is heard")
	}
	a.heard("bob")
	client.silent(t)
	a.heard("alice")
	for r.server.Stats().Accepted == 0 { // from the first moment on
		r.deliver("alice", `{"type":"n"}`)
	}
	client.answered(t, http.StatusSwitchingProtocols)
	if opcode, _ := client.readFrame(t); opcode != 0x81 {
		t.Errorf("got %x, want a notification", opcode)
	}
	if s := r.server.Stats(); s.Opened != 1 || s.AwaitingFeed != 0 || s.HeardLate != 0 {
		t.Errorf("%+v", s)
	}
	_ = client.Close()
	a.balanced(t)
}

// Who is heard already is let in at once.
func TestAudienceHearsAlready(t *testing.T) {
	t.Parallel()
	r, a := startAudience(t, func(string, Waiter) bool { return true }, func(c *Config) { c.AudienceWait = time.Minute })
	client := r.send(token(t, "alice"), string(masked(0x89, "early")))
	client.answered(t, http.StatusSwitchingProtocols)
	if opcode, payload := client.readFrame(t); opcode != 0x8a || string(payload) != "early" {
		t.Errorf("got %x %q, want a pong", opcode, payload)
	}
	if joins, now := a.joined("alice"); joins != 1 || now != 1 {
		t.Errorf("joined %d times, %d now", joins, now)
	}
	if s := r.server.Stats(); s.AwaitingFeed != 0 || s.HeardLate != 0 {
		t.Errorf("%+v", s)
	}
	_ = client.Close()
	a.balanced(t)
}

// A feed that does not answer keeps nobody out.
func TestAudienceWaitIsBounded(t *testing.T) {
	t.Parallel()
	for name, bound := range map[string]func(*Config){
		"by its own time":           func(c *Config) { c.AudienceWait = 200 * time.Millisecond },
		"by the handshake deadline": func(c *Config) { c.AudienceWait, c.HandshakeTimeout = time.Hour, 200*time.Millisecond },
		"by a second":               func(*Config) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, a := startAudience(t, nil, bound)
			begun := time.Now()
			client := r.send(token(t, "alice"), string(masked(0x89, "early")))
			client.silent(t)
			client.answered(t, http.StatusSwitchingProtocols)
			if took := time.Since(begun); took < 100*time.Millisecond {
				t.Errorf("it waited for %s", took)
			}
			if opcode, payload := client.readFrame(t); opcode != 0x8a || string(payload) != "early" {
				t.Errorf("got %x %q, want a pong", opcode, payload)
			}
			if s := r.server.Stats(); s.HeardLate != 1 || s.AwaitingFeed != 0 || s.Opened != 1 {
				t.Errorf("%+v", s)
			}
			a.heard("alice") // too late: nothing happens
			r.deliver("alice", `{"type":"n"}`)
			if opcode, _ := client.readFrame(t); opcode != 0x81 {
				t.Errorf("got %x, want a notification", opcode)
			}
			_ = client.Close()
			a.balanced(t)
		})
	}
}

// What the client sends too early is neither lost nor read twice, and not the next one's who uses the loop's buffer.
func TestFramesBeforeUserIsHeard(t *testing.T) {
	t.Parallel()
	r, a := startAudience(t, func(user string, _ Waiter) bool { return user != "alice" }, func(c *Config) {
		c.Loops, c.AudienceWait = 1, time.Minute
	})
	client := r.send(token(t, "alice"), string(masked(0x89, "one"))+string(masked(0x89, "two")[:3]))
	r.awaitingIs(1)
	r.connect("bob")
	before := r.server.Stats().BytesIn
	late := append(masked(0x89, "two")[3:], masked(0x89, "three")...)
	if _, err := client.Write(late); err != nil {
		t.Fatal(err)
	}
	eventually(t, "they are read", func() bool { return r.server.Stats().BytesIn == before+uint64(len(late)) })
	client.silent(t)
	a.heard("alice")
	client.answered(t, http.StatusSwitchingProtocols)
	for _, want := range []string{"one", "two", "three"} {
		if opcode, payload := client.readFrame(t); opcode != 0x8a || string(payload) != want {
			t.Fatalf("got %x %q, want a pong with %q", opcode, payload, want)
		}
	}
}

// What is kept of these frames is bounded, whether they come with the head or later.
func TestTooManyFramesBeforeUserIsHeard(t *testing.T) {
	t.Parallel()
	r, a := startAudience(t, nil, func(c *Config) { c.AudienceWait, c.ReadBuffer = time.Minute, 64<<10 })
	later := r.send(token(t, "alice"), "")
	r.awaitingIs(1)
	if _, err := later.Write(make([]byte, maxEarly+1)); err != nil {
		t.Fatal(err)
	}
	later.answered(t, http.StatusBadRequest)
	r.send(token(t, "alice"), string(make([]byte, maxEarly+1))).answered(t, http.StatusBadRequest)
	r.awaitingIs(0)
	a.heard("alice")
	a.balanced(t)
}

// Who has gone leaves nothing behind, and what is heard of it then does no harm.
func TestClientGoesBeforeUserIsHeard(t *testing.T) {
	t.Parallel()
	r, a := startAudience(t, nil, func(c *Config) { c.AudienceWait = time.Minute })
	client := r.send(token(t, "alice"), "")
	r.awaitingIs(1)
	_ = client.Close()
	eventually(t, "it is gone", func() bool { s := r.server.Stats(); return s.Sockets == 0 && s.AwaitingFeed == 0 })
	a.balanced(t)
	another := r.send(token(t, "bob"), "") // has the descriptor's number now
	r.awaitingIs(1)
	a.heard("alice")
	another.silent(t)
	a.heard("bob")
	another.answered(t, http.StatusSwitchingProtocols)
	if s := r.server.Stats(); s.Opened != 1 || s.Panics != 0 {
		t.Errorf("%+v", s)
	}
}

// Heard may come from another goroutine before Join has returned, and more than once.
func TestHeardBeforeJoinReturnsAndTwice(t *testing.T) {
	t.Parallel()
	r, a := startAudience(t, func(_ string, w Waiter) bool {
		var told sync.WaitGroup
		told.Go(w.Heard)
		told.Go(w.Heard)
		told.Wait()
		return false
	}, func(c *Config) { c.AudienceWait = time.Minute })
	client := r.send(token(t, "alice"), "")
	client.answered(t, http.StatusSwitchingProtocols)
	a.heard("alice") // a third time
	r.deliver("alice", `{"type":"n"}`)
	if opcode, _ := client.readFrame(t); opcode != 0x81 {
		t.Errorf("got %x, want a notification", opcode)
	}
	if s := r.server.Stats(); s.Opened != 1 || s.Panics != 0 || s.HeardLate != 0 {
		t.Errorf("%+v", s)
	}
	_ = client.Close()
	a.balanced(t)
}

// Of those who wait some find the server full then; and who finds it full at once joins nobody.
func TestFullWhileWaiting(t *testing.T) {
	t.Parallel()
	r, a := startAudience(t, nil, func(c *Config) { c.AudienceWait = time.Minute })
	r.hub.SetLimits(hub.Limits{MaxConnections: 1, MaxPerUser: 1})
	alice, bob := r.send(token(t, "alice"), ""), r.send(token(t, "bob"), "")
	r.awaitingIs(2)
	a.heard("alice")
	alice.answered(t, http.StatusSwitchingProtocols)
	a.heard("bob")
	bob.answered(t, http.StatusServiceUnavailable)
	r.send(token(t, "carol"), "").answered(t, http.StatusServiceUnavailable)
	if joins, _ := a.joined("carol"); joins != 0 {
		t.Error("a full server joined for whom it refuses")
	}
	r.hub.SetLimits(hub.Limits{MaxPerUser: 1})
	second := r.send(token(t, "alice"), "")
	r.awaitingIs(1)
	a.heard("alice")
	second.answered(t, http.StatusTooManyRequests)
	if _, now := a.joined("alice"); now != 1 {
		t.Errorf("alice is joined %d times, want once", now)
	}
	if s := r.server.Stats(); s.Refused["full"] != 2 || s.Refused["user_full"] != 1 {
		t.Errorf("%v", s.Refused)
	}
	_ = alice.Close()
	a.balanced(t)
}

// Handshakes that wait count for their address, and one too many joins nobody.
func TestAddressFullWhileWaiting(t *testing.T) {
	t.Parallel()
	r, a := startAudience(t, nil, func(c *Config) { c.AudienceWait, c.MaxPerAddress = time.Minute, 1 })
	client := r.send(token(t, "alice"), "")
	r.awaitingIs(1)
	r.send(token(t, "bob"), "").answered(t, http.StatusTooManyRequests)
	if joins, _ := a.joined("bob"); joins != 0 {
		t.Error("joined for whom the server refuses")
	}
	_ = client.Close()
	a.balanced(t)
	next := r.send(token(t, "carol"), "")
	r.awaitingIs(1)
	a.heard("carol")
	next.answered(t, http.StatusSwitchingProtocols)
}

// A server that ends refuses who waits, and waits for nobody.
func TestShutdownWhileWaiting(t *testing.T) {
	t.Parallel()
	r, a := startAudience(t, nil, func(c *Config) { c.AudienceWait = time.Minute })
	client := r.send(token(t, "alice"), "")
	r.awaitingIs(1)
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		ended <- r.server.Shutdown(ctx, GoingAway())
	}()
	client.answered(t, http.StatusServiceUnavailable)
	_ = client.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := r.server.Stats().Refused["draining"]; n != 1 {
		t.Errorf("%d refusals are counted, want 1", n)
	}
	a.balanced(t)
	a.heard("alice") // the loop has ended
}

// Who is heard when the server ends already is refused like all others.
func TestHeardWhileDraining(t *testing.T) {
	t.Parallel()
	r, a := startAudience(t, nil, func(c *Config) { c.AudienceWait = time.Minute })
	client := r.send(token(t, "alice"), "")
	r.awaitingIs(1)
	r.server.draining.Store(true)
	a.heard("alice")
	client.answered(t, http.StatusServiceUnavailable)
	r.send(token(t, "bob"), "").answered(t, http.StatusServiceUnavailable)
	if joins, _ := a.joined("bob"); joins != 0 {
		t.Error("joined for whom the server refuses")
	}
	a.balanced(t)
}

// A token of a key pair is checked first; then its user is waited for.
func TestCheckedThenAwaited(t *testing.T) {
	t.Parallel()
	a := newAudience(nil)
	r, issuer := startIssuer(t, func(c *Config) { c.Audience, c.AudienceWait = a, time.Minute })
	client := r.send(issuer.token(t, "later", "alice"), string(masked(0x89, "one")))
	r.checkingIs(1)
	if joins, _ := a.joined("alice"); joins != 0 {
		t.Error("joined before the token is known to be good")
	}
	issuer.let()
	r.awaitingIs(1)
	r.checkingIs(0)
	if _, err := client.Write(masked(0x89, "two")); err != nil {
		t.Fatal(err)
	}
	client.silent(t)
	a.heard("alice")
	client.answered(t, http.StatusSwitchingProtocols)
	for _, want := range []string{"one", "two"} {
		if opcode, payload := client.readFrame(t); opcode != 0x8a || string(payload) != want {
			t.Fatalf("got %x %q, want a pong with %q", opcode, payload, want)
		}
	}
	_ = client.Close()
	a.balanced(t)
}

// The server's own health check joins too, as what it is for is to be heard. A full server lets it in, and it is in
// no count.
func TestProbeJoins(t *testing.T) {
	t.Parallel()
	const user = "\x00probe"
	gate, err := wsproto.NewGate(wsproto.GateConfig{Secret: []byte(testSecret),
		Ticket: func(ticket []byte) (string, bool) { return user, string(ticket) == "ours" }})
	if err != nil {
		t.Fatal(err)
	}
	r, a := startAudience(t, func(joining string, _ Waiter) bool { return joining != user }, func(c *Config) {
		c.Gate, c.AudienceWait = gate, 100*time.Millisecond
	})
	r.hub.SetLimits(hub.Limits{MaxConnections: 1})
	r.connect("alice")
	probe := r.sendQuery("ticket=ours", "")
	probe.answered(t, http.StatusSwitchingProtocols)
	if joins, now := a.joined(user); joins != 1 || now != 1 {
		t.Errorf("joined %d times, %d now", joins, now)
	}
	if s := r.server.Stats(); s.HeardLate != 0 || s.AwaitingFeed != 0 || s.Opened != 1 {
		t.Errorf("%+v", s)
	}
	_ = probe.Close()
	eventually(t, "it is left", func() bool { _, now := a.joined(user); return now == 0 })
}

// What fails while a user is joined leaves it again.
func TestPanicWhileJoining(t *testing.T) {
	t.Parallel()
	r, a := startAudience(t, func(user string, _ Waiter) bool {
		if user == "alice" {
			panic("a bug")
		}
		return true
	}, nil)
	client := r.send(token(t, "alice"), "")
	if _, err := client.r.ReadByte(); err == nil {
		t.Error("it was answered")
	}
	a.balanced(t)
	r.connect("bob")
	if s := r.server.Stats(); s.Panics != 1 || s.AwaitingFeed != 0 {
		t.Errorf("%+v", s)
	}
}

// What the request says stays, although others' bytes come into the loop's buffer meanwhile.
func TestRequestOutlivesItsTurn(t *testing.T) {
	t.Parallel()
	var log lines
	a := newAudience(nil)
	r := proxied(t, "127.0.0.0/8", func(c *Config) {
		c.Loops, c.ProxyProtocol, c.Audience, c.AudienceWait = 1, false, a, time.Minute
		c.Logger = slog.New(slog.NewJSONHandler(&log, nil))
	})
	client := r.dial()
	client.send(t, lineAdded(upgradeRequest(t, "alice"), "X-Forwarded-For: 192.0.2.5"))
	r.awaitingIs(1)
	before, noise := r.server.Stats().BytesIn, strings.Repeat("x", 4000)
	r.dial().send(t, noise)
	eventually(t, "others' bytes are read", func() bool { return r.server.Stats().BytesIn == before+uint64(len(noise)) })
	a.heard("alice")
	client.answered(t, http.StatusSwitchingProtocols)
	if line := log.find("connected"); line["remote"] != "192.0.2.5" || line["user_id"] != "alice" {
		t.Errorf("%v", line)
	}
}

// A second is a second, though the wheel's ticks are half as long where no handshake waits.
func TestAudienceWaitIsKept(t *testing.T) {
	t.Parallel()
	if tick := (Config{}).withDefaults(1).tickLength(); tick != 500*time.Millisecond {
		t.Errorf("without an audience a tick is %s", tick)
	}
	r, _ := startAudience(t, nil, func(c *Config) { c.Loops, c.LingerTimeout = 1, 0 })
	if tick := r.server.tickLength; tick != 250*time.Millisecond {
		t.Errorf("with an audience a tick is %s", tick)
	}
	l := r.server.loops[0]
	for range 20 { // at one place and another between two ticks
		begun := r.server.now()
		client := r.send(token(t, "alice"), "")
		r.awaitingIs(1)
		var at, now time.Duration
		looked := make(chan struct{})
		l.do(func() {
			defer close(looked)
			now = r.server.now()
			l.wheel.Each(func(c *conn) {
				if c.state == stateAwaiting {
					at = r.server.moment(c.loop.wheel.At(c))
				}
			})
		})
		<-looked
		if at > now+time.Second || at < begun+time.Second*3/4 {
			t.Errorf("the wait ends %s after it began", at-begun)
		}
		_ = client.Close()
		r.awaitingIs(0)
	}
}

// brokenLog fails at the line that says that alice is connected.
type brokenLog struct{}

func (brokenLog) Write(b []byte) (int, error) {
	if line := string(b); strings.Contains(line, `"msg":"connected"`) && strings.Contains(line, "alice") {
		panic("a bug")
	}
	return len(b), nil
}

// What fails when a handshake has waited ends that one, and not the process.
func TestPanicAfterWaiting(t *testing.T) {
	t.Parallel()
	r, a := startAudience(t, nil, func(c *Config) {
		c.AudienceWait, c.Logger = time.Minute, slog.New(slog.NewJSONHandler(brokenLog{}, nil))
	})
	alice, bob := r.send(token(t, "alice"), ""), r.send(token(t, "bob"), "")
	r.awaitingIs(2)
	a.heard("alice")
	if _, err := alice.r.ReadByte(); err == nil {
		t.Error("it was answered")
	}
	a.heard("bob")
	bob.answered(t, http.StatusSwitchingProtocols)
	if s := r.server.Stats(); s.Panics != 1 || r.hub.Connections() != 1 {
		t.Errorf("%d panics, %d connections, want one of each", s.Panics, r.hub.Connections())
	}
	_ = bob.Close()
	a.balanced(t)
}
