package soak

import (
	"encoding/json"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roost/cmd/roost/internal/roosttest"
)

// healthy is a connection that reads all the time and answers pings. It writes down what it gets.
type healthy struct {
	user string
	conn *websocket.Conn
	done chan struct{} // closed when the last notification has come, or nothing can come any more

	// Of the reader; of the test when done is closed.
	record
	epoch    int
	took     []time.Duration // from publishing to arrival
	everyone int             // notifications for everyone
	faults   []string
	err      error // why reading ended, if before the last notification
}

// connect opens a healthy connection of a user.
func connect(t *testing.T, server *roosttest.Server, user string) *healthy {
	t.Helper()
	// What is published while this process gets no processor would make it a slow consumer.
	room := net.Dialer{Control: roosttest.Room(2 << 20)}
	dialer := websocket.Dialer{HandshakeTimeout: roosttest.Limit, NetDialContext: room.DialContext}
	conn, _, err := dialer.Dial(server.URL(roosttest.Token(t, user)), nil)
	if err != nil {
		t.Fatalf("connecting as %s: %v", user, err)
	}
	roosttest.AnswerPings(conn)
	t.Cleanup(func() { _ = conn.Close() })
	h := &healthy{user: user, conn: conn, done: make(chan struct{})}
	go h.read()
	return h
}

func (h *healthy) read() {
	defer close(h.done)
	for {
		_, message, err := h.conn.ReadMessage()
		if err != nil {
			h.err = err
			return
		}
		if h.take(message) {
			return
		}
	}
}

// take notes a notification, and says whether it is the last.
func (h *healthy) take(message []byte) (isLast bool) {
	now := time.Now()
	var got struct {
		Type    string `json:"type"`
		Payload struct {
			User       string
			Epoch, Seq int
			At         int64
			Reason     string
			Since      time.Time
		} `json:"payload"`
	}
	switch err := json.Unmarshal(message, &got); {
	case err == nil && got.Type == "_hello":
		return false
	case err == nil && got.Type == "_gap":
		if got.Payload.Reason == "redis" { // it is never slow, so that no other excuses anything
			h.gaps = append(h.gaps, roosttest.Gap{Since: got.Payload.Since, Told: now})
		}
		return false
	case err == nil && got.Type == "everyone":
		h.everyone++
		return false
	case err != nil || (got.Type != "soak" && got.Type != "last"):
		h.fault("cannot be read: %.100q", message)
		return false
	case got.Type == "last":
		return true
	case got.Payload.User != h.user:
		h.fault("a notification for %q", got.Payload.User)
		return false
	case got.Payload.Epoch < h.epoch:
		h.fault("epoch %d after %d", got.Payload.Epoch, h.epoch)
	}
	h.epoch = got.Payload.Epoch
	h.sequence = append(h.sequence, got.Payload.Seq)
	h.took = append(h.took, now.Sub(time.Unix(0, got.Payload.At)))
	return false
}

func (h *healthy) fault(format string, args ...any) {
	h.faults = append(h.faults, h.user+": "+fmt.Sprintf(format, args...))
}

// leave says goodbye as browsers do, and waits for the server to close.
func (h *healthy) leave() error {
	goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	err := h.conn.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(roosttest.Limit))
	if err != nil {
		return err
	}
	_ = h.conn.SetReadDeadline(time.Now().Add(roosttest.Limit))
	for err == nil {
		_, _, err = h.conn.ReadMessage()
	}
	if !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		return err
	}
	return h.conn.Close()
}

// TestHealthyNotices has a healthy client notice what must not come.
func TestHealthyNotices(t *testing.T) {
	t.Parallel()
	h := &healthy{user: "alice"}
	h.take([]byte(notification("alice", 0, 0)))
	h.take([]byte(notification("alice", 1, 1)))
	if len(h.faults) != 0 || len(h.sequence) != 2 {
		t.Errorf("got %v, faults %v", h.sequence, h.faults)
	}
	h.take([]byte(notification("bob", 1, 2)))
	h.take([]byte(notification("alice", 0, 3)))
	h.take([]byte(`{"type":"soak`))
	if len(h.faults) != 3 {
		t.Errorf("three things were wrong, noticed: %q", h.faults)
	}
	if !h.take([]byte(last)) {
		t.Error("the last notification is not known")
	}
}
