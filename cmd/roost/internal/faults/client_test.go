package faults

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roost/cmd/roost/internal/roosttest"
)

// client is a connection that reads all the time, and writes down what it gets.
type client struct {
	user string
	conn *websocket.Conn

	mu     sync.Mutex // guards the rest
	got    map[int]time.Time
	last   int // the latest number
	gaps   []told
	faults []string
}

// told is a notice that something may be missing.
type told struct {
	roosttest.Gap
	reason string
}

func connect(t *testing.T, server *roosttest.Server, user string) *client {
	t.Helper()
	dialer := websocket.Dialer{HandshakeTimeout: roosttest.Limit}
	conn, _, err := dialer.Dial(server.URL(roosttest.Token(t, user)), nil)
	if err != nil {
		t.Fatalf("connecting as %s: %v", user, err)
	}
	roosttest.AnswerPings(conn)
	c := &client{user: user, conn: conn, got: make(map[int]time.Time), last: -1}
	done := make(chan struct{})
	t.Cleanup(func() { _ = conn.Close(); <-done })
	go func() { defer close(done); c.read() }()
	return c
}

func (c *client) read() {
	for {
		_, message, err := c.conn.ReadMessage()
		if err != nil {
			return // a number that does not come says it
		}
		c.take(message, time.Now())
	}
}

func (c *client) take(message []byte, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var got struct {
		Type    string
		Payload json.RawMessage
	}
	var notice struct {
		Reason string
		Since  time.Time
	}
	number := 0
	err := json.Unmarshal(message, &got)
	switch {
	case err == nil && got.Type == "_gap":
		err = json.Unmarshal(got.Payload, &notice)
		c.gaps = append(c.gaps, told{roosttest.Gap{Since: notice.Since, Told: now}, notice.Reason})
	case err == nil:
		if err = json.Unmarshal(got.Payload, &number); err == nil {
			c.number(number, now)
		}
	}
	if err != nil {
		c.faults = append(c.faults, "cannot be read: "+string(message))
	}
}

// number notes a notification. The caller holds c.mu.
func (c *client) number(n int, now time.Time) {
	switch _, twice := c.got[n]; {
	case twice:
		c.faults = append(c.faults, "a notification came twice")
	case n < c.last:
		c.faults = append(c.faults, "a notification came behind a later one")
	}
	c.got[n], c.last = now, max(c.last, n)
}

// has reports whether a number has come.
func (c *client) has(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.got[n]
	return ok
}

// seen is what it has got up to now.
func (c *client) seen() (got map[int]bool, gaps []told, faults []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	got = make(map[int]bool, len(c.got))
	for n := range c.got {
		got[n] = true
	}
	return got, append([]told(nil), c.gaps...), append([]string(nil), c.faults...)
}
