package netpoll

import (
	"errors"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// What was delivered before the command arrives before the close frame, what is delivered after it doesn't, also when
// the loop gets to all of it at once.
func TestDisconnectKeepsTheOrder(t *testing.T) {
	t.Parallel()
	const each = 100 // connections, on both loops
	r := start(t, nil)
	var alice []*websocket.Conn
	for range each {
		alice = append(alice, r.connect("alice"))
	}
	bob := r.connect("bob")
	// Their turn, and not a task that holds them: what comes after a task in the same turn would drain the mailbox.
	for _, l := range r.server.loops {
		l.turn.Lock()
	}
	r.hub.Deliver("alice", `{"type":"before"}`) // not flushed: only the command brings the loop to it
	r.hub.Control("alice", `{"disconnect":{"code":4001,"reason":"out"}}`)
	r.hub.Control("alice", `{"disconnect":{"code":4002}}`) // too late
	r.hub.Deliver("alice", `{"type":"after"}`)
	r.hub.Deliver("bob", `{"type":"still here"}`)
	for _, l := range r.server.loops {
		l.turn.Unlock()
	}
	r.server.Flush()
	for i, c := range alice {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, _, err := c.ReadMessage(); err != nil {
			t.Fatalf("connection %d: the notification: %v", i, err)
		}
		_, _, err := c.ReadMessage()
		var closed *websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != 4001 || closed.Text != "out" {
			t.Fatalf("connection %d ended with %v", i, err)
		}
	}
	_ = bob.SetReadDeadline(time.Now().Add(10 * time.Second))
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
	deadline := time.Now().Add(10 * time.Second)
	for r.server.Stats().Sockets != 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if s := r.server.Stats(); s.Sockets != 0 || s.Panics != 0 {
		t.Errorf("stats %+v", s)
	}
}
