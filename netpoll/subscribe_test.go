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
	"roost/wsproto/auth"
	"roost/wsproto/handshake"
)

// silent checks that a client has got nothing, not a byte, in a while that would have sufficed.
func (c *raw) silent(t testing.TB) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if b, err := c.r.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q, %v before its time", b, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
}

// The 101 waits until the user is heard; the connection is in the hub only then, and what is delivered from then on
// comes behind it.
func TestHandshakeWaitsForSubscription(t *testing.T) {
	t.Parallel()
	r, a := startSubscriptions(t, nil, func(c *Config) { c.SubscribeWait = time.Minute })
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
	if s := r.server.Stats(); s.Opened != 1 || s.Subscribing != 0 || s.Unsubscribed != 0 {
		t.Errorf("%+v", s)
	}
	_ = client.Close()
	a.balanced(t)
}

// A user who is subscribed already is admitted at once.
func TestSubscribedAlready(t *testing.T) {
	t.Parallel()
	r, a := startSubscriptions(t, func(string, Waiter) bool { return true }, func(c *Config) { c.SubscribeWait = time.Minute })
	client := r.send(token(t, "alice"), string(masked(0x89, "early")))
	client.answered(t, http.StatusSwitchingProtocols)
	if opcode, payload := client.readFrame(t); opcode != 0x8a || string(payload) != "early" {
		t.Errorf("got %x %q, want a pong", opcode, payload)
	}
	if acquired, now := a.acquiredOf("alice"); acquired != 1 || now != 1 {
		t.Errorf("acquired %d times, %d now", acquired, now)
	}
	if s := r.server.Stats(); s.Subscribing != 0 || s.Unsubscribed != 0 {
		t.Errorf("%+v", s)
	}
	_ = client.Close()
	a.balanced(t)
}

// A feed that does not answer keeps nobody out.
func TestSubscribeWaitIsBounded(t *testing.T) {
	t.Parallel()
	for name, bound := range map[string]func(*Config){
		"by its own time":           func(c *Config) { c.SubscribeWait = 1500 * time.Millisecond },
		"by the handshake deadline": func(c *Config) { c.SubscribeWait, c.HandshakeTimeout = time.Hour, 4*time.Second },
		"by a second":               func(*Config) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, a := startSubscriptions(t, nil, bound)
			begun := time.Now()
			// It is accepted when its request is there: a busy machine could need all the time of a handshake to send that.
			held := []func(){r.server.loops[0].hold(), r.server.loops[1].hold()}
			client := r.send(token(t, "alice"), string(masked(0x89, "early")))
			for _, release := range held {
				release()
			}
			client.answered(t, http.StatusSwitchingProtocols)
			if took := time.Since(begun); took < 100*time.Millisecond {
				t.Errorf("it waited for %s", took)
			}
			if opcode, payload := client.readFrame(t); opcode != 0x8a || string(payload) != "early" {
				t.Errorf("got %x %q, want a pong", opcode, payload)
			}
			if s := r.server.Stats(); s.Unsubscribed != 1 || s.Subscribing != 0 || s.Opened != 1 {
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

// Bytes that the client sends too early are neither lost nor read twice, and not taken for those of the next client
// that uses the loop's buffer.
func TestFramesBeforeUserIsHeard(t *testing.T) {
	t.Parallel()
	r, a := startSubscriptions(t, func(user string, _ Waiter) bool { return user != "alice" }, func(c *Config) {
		c.Loops, c.SubscribeWait = 1, time.Minute
	})
	client := r.send(token(t, "alice"), string(masked(0x89, "one"))+string(masked(0x89, "two")[:3]))
	r.awaitingIs(1)
	r.connect("bob")
	before := r.server.Stats().BytesIn
	late := append(masked(0x89, "two")[3:], masked(0x89, "three")...)
	if _, err := client.Write(late); err != nil {
		t.Fatal(err)
	}
	eventually(t, "they are read", func() bool { return r.server.Stats().BytesIn == before+len(late) })
	client.silent(t)
	a.heard("alice")
	client.answered(t, http.StatusSwitchingProtocols)
	for _, want := range []string{"one", "two", "three"} {
		if opcode, payload := client.readFrame(t); opcode != 0x8a || string(payload) != want {
			t.Fatalf("got %x %q, want a pong with %q", opcode, payload, want)
		}
	}
}

// The bytes kept of these frames are bounded, whether they come with the head or later.
func TestTooManyFramesBeforeUserIsHeard(t *testing.T) {
	t.Parallel()
	r, a := startSubscriptions(t, nil, func(c *Config) { c.SubscribeWait, c.ReadBuffer = time.Minute, 64<<10 })
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

// A client that has gone leaves nothing behind, and a late confirmation does no harm.
func TestClientGoesBeforeUserIsHeard(t *testing.T) {
	t.Parallel()
	r, a := startSubscriptions(t, nil, func(c *Config) { c.SubscribeWait = time.Minute })
	client := r.send(token(t, "alice"), "")
	r.awaitingIs(1)
	_ = client.Close()
	eventually(t, "it is gone", func() bool { s := r.server.Stats(); return s.Sockets == 0 && s.Subscribing == 0 })
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

// Subscribed may come from another goroutine before Acquire has returned, and more than once.
func TestSubscribedBeforeAcquireReturnsAndTwice(t *testing.T) {
	t.Parallel()
	r, a := startSubscriptions(t, func(_ string, w Waiter) bool {
		var told sync.WaitGroup
		told.Go(w.Subscribed)
		told.Go(w.Subscribed)
		told.Wait()
		return false
	}, func(c *Config) { c.SubscribeWait = time.Minute })
	client := r.send(token(t, "alice"), "")
	client.answered(t, http.StatusSwitchingProtocols)
	a.heard("alice") // a third time
	r.deliver("alice", `{"type":"n"}`)
	if opcode, _ := client.readFrame(t); opcode != 0x81 {
		t.Errorf("got %x, want a notification", opcode)
	}
	if s := r.server.Stats(); s.Opened != 1 || s.Panics != 0 || s.Unsubscribed != 0 {
		t.Errorf("%+v", s)
	}
	_ = client.Close()
	a.balanced(t)
}

// Of those who wait some find the server full then; and a handshake that finds it full at once acquires nothing.
func TestFullWhileWaiting(t *testing.T) {
	t.Parallel()
	r, a := startSubscriptions(t, nil, func(c *Config) { c.SubscribeWait = time.Minute })
	r.hub.SetLimits(hub.Limits{MaxConnections: 1, MaxPerUser: 1})
	alice, bob := r.send(token(t, "alice"), ""), r.send(token(t, "bob"), "")
	r.awaitingIs(2)
	a.heard("alice")
	alice.answered(t, http.StatusSwitchingProtocols)
	a.heard("bob")
	bob.answered(t, http.StatusServiceUnavailable)
	r.send(token(t, "carol"), "").answered(t, http.StatusServiceUnavailable)
	if acquired, _ := a.acquiredOf("carol"); acquired != 0 {
		t.Error("a full server acquired a subscription for a client that it refuses")
	}
	r.hub.SetLimits(hub.Limits{MaxPerUser: 1})
	second := r.send(token(t, "alice"), "")
	r.awaitingIs(1)
	a.heard("alice")
	second.answered(t, http.StatusTooManyRequests)
	if _, now := a.acquiredOf("alice"); now != 1 {
		t.Errorf("alice is acquired %d times, want once", now)
	}
	if s := r.server.Stats(); s.Refused["full"] != 2 || s.Refused["user_full"] != 1 {
		t.Errorf("%v", s.Refused)
	}
	_ = alice.Close()
	a.balanced(t)
}

// Handshakes that wait count for their address, and one too many acquires nothing.
func TestAddressFullWhileWaiting(t *testing.T) {
	t.Parallel()
	r, a := startSubscriptions(t, nil, func(c *Config) { c.SubscribeWait, c.MaxPerIP = time.Minute, 1 })
	client := r.send(token(t, "alice"), "")
	r.awaitingIs(1)
	r.send(token(t, "bob"), "").answered(t, http.StatusTooManyRequests)
	if acquired, _ := a.acquiredOf("bob"); acquired != 0 {
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
	r, a := startSubscriptions(t, nil, func(c *Config) { c.SubscribeWait = time.Minute })
	client := r.send(token(t, "alice"), "")
	r.awaitingIs(1)
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
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

// A user who is subscribed only when the server ends already is refused like all others.
func TestHeardWhileDraining(t *testing.T) {
	t.Parallel()
	r, a := startSubscriptions(t, nil, func(c *Config) { c.SubscribeWait = time.Minute })
	client := r.send(token(t, "alice"), "")
	r.awaitingIs(1)
	r.server.draining.Store(true)
	a.heard("alice")
	client.answered(t, http.StatusServiceUnavailable)
	r.send(token(t, "bob"), "").answered(t, http.StatusServiceUnavailable)
	if acquired, _ := a.acquiredOf("bob"); acquired != 0 {
		t.Error("joined for whom the server refuses")
	}
	a.balanced(t)
}

// A token of a key pair is checked first; then its user is waited for.
func TestCheckedThenAwaited(t *testing.T) {
	t.Parallel()
	a := newSubscriptions(nil)
	r, issuer := startIssuer(t, func(c *Config) { c.Subscriptions, c.SubscribeWait = a, time.Minute })
	client := r.send(issuer.token(t, "later", "alice"), string(masked(0x89, "one")))
	r.checkingIs(1)
	if acquired, _ := a.acquiredOf("alice"); acquired != 0 {
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

// The server's own health check acquires too, as what it is for is to be heard. A full server lets it in, and it is in
// no count.
func TestProbeAcquires(t *testing.T) {
	t.Parallel()
	const user = "\x00probe"
	upgrader := newUpgrader(t, auth.Config{}, handshake.Config{
		Ticket: func(ticket []byte) (string, bool) { return user, string(ticket) == "ours" }})
	r, a := startSubscriptions(t, func(joining string, _ Waiter) bool { return joining != user }, func(c *Config) {
		c.Upgrader, c.SubscribeWait = upgrader, 100*time.Millisecond
	})
	r.hub.SetLimits(hub.Limits{MaxConnections: 1})
	r.connect("alice")
	probe := r.sendQuery("ticket=ours", "")
	probe.answered(t, http.StatusSwitchingProtocols)
	if acquired, now := a.acquiredOf(user); acquired != 1 || now != 1 {
		t.Errorf("acquired %d times, %d now", acquired, now)
	}
	if s := r.server.Stats(); s.Unsubscribed != 0 || s.Subscribing != 0 || s.Opened != 1 {
		t.Errorf("%+v", s)
	}
	_ = probe.Close()
	eventually(t, "it is left", func() bool { _, now := a.acquiredOf(user); return now == 0 })
}

// A panic during Acquire is followed by Release.
func TestPanicWhileAcquiring(t *testing.T) {
	t.Parallel()
	r, a := startSubscriptions(t, func(user string, _ Waiter) bool {
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
	if s := r.server.Stats(); s.Panics != 1 || s.Subscribing != 0 {
		t.Errorf("%+v", s)
	}
}

// The request stays intact, although others' bytes come into the loop's buffer meanwhile.
func TestRequestOutlivesItsTurn(t *testing.T) {
	t.Parallel()
	var log lines
	a := newSubscriptions(nil)
	r := proxied(t, "127.0.0.0/8", func(c *Config) {
		c.Loops, c.ProxyProtocol, c.Subscriptions, c.SubscribeWait = 1, false, a, time.Minute
		c.Logger = slog.New(slog.NewJSONHandler(&log, nil))
	})
	client := r.dial()
	client.send(t, lineAdded(upgradeRequest(t, "alice"), "X-Forwarded-For: 192.0.2.5"))
	r.awaitingIs(1)
	before, noise := r.server.Stats().BytesIn, strings.Repeat("x", 4000)
	r.dial().send(t, noise)
	eventually(t, "others' bytes are read", func() bool { return r.server.Stats().BytesIn == before+len(noise) })
	a.heard("alice")
	client.answered(t, http.StatusSwitchingProtocols)
	if line := log.find("connected"); line["remote"] != "192.0.2.5" || line["user_id"] != "alice" {
		t.Errorf("%v", line)
	}
}

// A second is a second, though the wheel's ticks are half as long where no handshake waits.
func TestSubscribeWaitIsKept(t *testing.T) {
	t.Parallel()
	if tick := (Config{}).withDefaults(1).tickLength(); tick != 500*time.Millisecond {
		t.Errorf("without an subscriptions a tick is %s", tick)
	}
	r, _ := startSubscriptions(t, nil, func(c *Config) { c.Loops, c.LingerTimeout = 1, 0 })
	if tick := r.server.tickLength; tick != 250*time.Millisecond {
		t.Errorf("with an subscriptions a tick is %s", tick)
	}
	l := r.server.loops[0]
	for range 20 { // at one place and another between two ticks
		begun, before := r.server.now(), r.server.Stats().Unsubscribed
		client := r.send(token(t, "alice"), "")
		eventually(t, "it waits, or has waited", func() bool {
			s := r.server.Stats()
			return s.Subscribing == 1 || s.Unsubscribed > before
		})
		var at, now time.Duration
		looked := make(chan struct{})
		l.do(func() {
			defer close(looked)
			now = r.server.now()
			l.wheel.Each(func(c *conn) {
				if c.state == stateSubscribing {
					at = r.server.moment(c.loop.wheel.At(c))
				}
			})
		})
		<-looked
		if at == 0 && now-begun > time.Second/2 {
			continue // on a busy machine the wait is over before it is looked at
		}
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

// A failure when a handshake has waited ends that one, and not the process.
func TestPanicAfterWaiting(t *testing.T) {
	t.Parallel()
	r, a := startSubscriptions(t, nil, func(c *Config) {
		c.SubscribeWait, c.Logger = time.Minute, slog.New(slog.NewJSONHandler(brokenLog{}, nil))
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
