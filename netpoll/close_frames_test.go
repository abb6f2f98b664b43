package netpoll

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sys/unix"

	"roost/hub"
)

// Notifications delivered before the command arrive before the close frame, later ones don't, also when the loop gets to
// all of it at once.
func TestDisconnectKeepsTheOrder(t *testing.T) {
	t.Parallel()
	const each = 100 // connections, on both loops
	r := start(t, nil)
	var alice []*websocket.Conn
	for range each {
		alice = append(alice, r.connect("alice"))
	}
	bob := r.connect("bob")
	// Hold the lock, and not a task: the loop would drain the mailbox behind a task in the same turn.
	for _, l := range r.server.loops {
		l.mu.Lock()
	}
	r.hub.Deliver("alice", `{"type":"before"}`) // not flushed: only the command brings the loop to it
	r.hub.Control("alice", `{"disconnect":{"code":4001,"reason":"out"}}`)
	r.hub.Control("alice", `{"disconnect":{"code":4002}}`) // too late
	r.hub.Deliver("alice", `{"type":"after"}`)
	r.hub.Deliver("bob", `{"type":"still here"}`)
	for _, l := range r.server.loops {
		l.mu.Unlock()
	}
	r.server.Flush()
	for i, c := range alice {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if _, _, err := c.ReadMessage(); err != nil {
			t.Fatalf("connection %d: the notification: %v", i, err)
		}
		_, _, err := c.ReadMessage()
		var closed *websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != 4001 || closed.Text != "out" {
			t.Fatalf("connection %d ended with %v", i, err)
		}
	}
	_ = bob.SetReadDeadline(time.Now().Add(patience))
	if _, _, err := bob.ReadMessage(); err != nil {
		t.Errorf("bob: %v", err)
	}
	if n := r.server.Stats().Ended["disconnected"]; n != each {
		t.Errorf("%d ended as disconnected, want %d", n, each)
	}
	if n := r.hub.ConnectionsOf("alice"); n != 0 {
		t.Errorf("alice still has %d connections", n)
	}
}

// A connection that ended by itself meanwhile takes no harm.
func TestDisconnectOfAClosedConnection(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	c := r.connect("alice")
	l := r.server.loops[0]
	for _, other := range r.server.loops {
		if other.stats.sockets.Load() > 0 {
			l = other
		}
	}
	release := l.hold()
	r.hub.Control("alice", `{"disconnect":{}}`)
	r.hub.Control("alice", `{"disconnect":{}}`)
	_ = c.Close()
	release()
	eventually(t, "the socket to go", func() bool { return r.server.Stats().Sockets == 0 })
	if s := r.server.Stats(); s.Panics != 0 {
		t.Errorf("stats %+v", s)
	}
}

// Notifications delivered to a connection before it was replaced leave before its close frame, also while they are still
// in the loop's mailbox.
func TestReplacedConnectionGetsWhatWasDelivered(t *testing.T) {
	t.Parallel()
	l := sleeper(t)
	c, client := l.connect(t)
	for range 3 {
		c.Deliver(&hub.Notification{Frame: []byte("abc")})
	}
	c.Replaced()
	l.asleep = false
	l.handle(nil) // the loop wakes, and does what others want before it looks into its mailbox
	got := make([]byte, 100)
	n, err := unix.Read(client, got)
	if want := "abcabcabc\x88\x2d\x11\x4dreplaced by a newer connection"; err != nil || len(want) > n || string(got[:len(want)]) != want {
		t.Errorf("the client got %q, %v, want %q", got[:max(n, 0)], err, want)
	}
	if sent := l.stats.sent.Load(); sent != 3 {
		t.Errorf("%d deliveries are counted as sent, want 3", sent)
	}
}

// If there is no room, on the server or for an address, a connection that takes the place of another of its user needs
// none; also where it has to wait for the feed first.
func TestReplacingNeedsNoRoom(t *testing.T) {
	t.Parallel()
	const perUser, most = 2, 3
	for name, limit := range map[string]struct {
		connections, ofAddress int
		others                 int // what they are answered
	}{
		"a full server":  {most, 0, http.StatusServiceUnavailable},
		"a full address": {0, most, http.StatusTooManyRequests},
		"both":           {most, most, http.StatusTooManyRequests},
	} {
		for _, waits := range []bool{false, true} {
			if waits {
				name += ", waiting for the feed"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				heard := !waits
				a := newSubscriptions(func(string, Waiter) bool { return heard })
				limits := hub.Limits{MaxConnections: limit.connections, MaxPerUser: perUser, ReplaceOldest: true}
				r := startWithHub(t, hub.Config{Limits: limits}, func(c *Config) {
					c.MaxPerIP, c.Subscriptions, c.SubscribeWait = limit.ofAddress, a, time.Minute
				})
				open := func(user string, status int) *raw {
					t.Helper()
					client := r.send(token(t, user), "")
					if waits && status == http.StatusSwitchingProtocols {
						r.awaitingIs(1)
						a.heard(user)
					}
					client.answered(t, status)
					return client
				}
				all := []*raw{open("alice", http.StatusSwitchingProtocols), open("alice", http.StatusSwitchingProtocols)}
				open("bob", http.StatusSwitchingProtocols)
				open("carol", limit.others)
				open("bob", limit.others)
				for n := range 5 {
					all = append(all, open("alice", http.StatusSwitchingProtocols))
					if opcode, payload := all[n].readFrame(t); opcode != 0x88 || string(payload[:2]) != "\x11\x4d" {
						t.Fatalf("number %d got %x % x, want a close frame with 4429", n, opcode, payload)
					}
				}
				open("carol", limit.others)
				if n, of := r.hub.Connections(), r.hub.ConnectionsOf("alice"); n != most || of != perUser {
					t.Errorf("%d connections, %d of alice's", n, of)
				}
				r.balanced()
			})
		}
	}
}

// An address is as full when the connection that would make room is from elsewhere.
func TestReplacingFromAnotherAddress(t *testing.T) {
	t.Parallel()
	r := startWithHub(t, hub.Config{Limits: hub.Limits{MaxPerUser: 1, ReplaceOldest: true}}, func(c *Config) { c.MaxPerIP = 2 })
	from := func(address, user string, status int) *raw {
		t.Helper()
		client := r.sendFrom(address, token(t, user))
		client.answered(t, status)
		return client
	}
	elsewhere := from("127.0.0.2", "alice", http.StatusSwitchingProtocols)
	from("127.0.0.3", "bob", http.StatusSwitchingProtocols)
	carol := from("127.0.0.3", "carol", http.StatusSwitchingProtocols)
	for range 3 {
		from("127.0.0.3", "alice", http.StatusTooManyRequests)
	}
	_ = carol.Close()
	eventually(t, "there is room", func() bool { return r.server.Stats().Sockets == 2 }) // behind the hub, the address gives the place back
	from("127.0.0.3", "alice", http.StatusSwitchingProtocols)
	if opcode, payload := elsewhere.readFrame(t); opcode != 0x88 || string(payload[:2]) != "\x11\x4d" {
		t.Errorf("the oldest got %x % x, want a close frame with 4429", opcode, payload)
	}
}
