package netpoll

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// Connections are let go one after another, and get what is delivered until then.
func TestDepart(t *testing.T) {
	t.Parallel()
	const connections, over = 60, time.Second
	r := start(t, nil)
	var gone atomic.Int64
	var wg sync.WaitGroup
	var late atomic.Int64 // got the notification that was delivered half-way
	for i := range connections {
		c := r.connect(fmt.Sprint("user", i))
		wg.Go(func() {
			_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
			for {
				_, _, err := c.ReadMessage()
				if err == nil {
					late.Add(1)
					continue
				}
				if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
					t.Errorf("connection %d ended with %v", i, err)
				}
				gone.Add(1)
				return
			}
		})
	}
	begun := time.Now()
	departed := make(chan struct{})
	go func() { r.server.Depart(t.Context(), Restarting(), over); close(departed) }()
	eventually(t, "some are gone", func() bool { return gone.Load() > 0 })
	left := 0
	for i := range connections {
		left += r.hub.ConnectionsOf(fmt.Sprint("user", i))
		r.hub.Deliver(fmt.Sprint("user", i), `{"type":"still here"}`)
	}
	r.server.Flush()
	if left == 0 {
		t.Error("all went at once")
	}
	<-departed
	wg.Wait()
	if took := time.Since(begun); took < over*9/10 {
		t.Errorf("all were gone after %s, want about %s", took, over)
	}
	// Between the count and the delivery some may have gone.
	if got := int(late.Load()); got > left || got == 0 {
		t.Errorf("%d got what was delivered when %d were left", got, left)
	}
	if n := r.server.Stats().Ended["restart"]; n != connections {
		t.Errorf("%d ended by it", n)
	}
	r.balanced()
}

// With nobody there it does not wait.
func TestDepartOfNobody(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.server.Depart(t.Context(), Restarting(), time.Hour)
}

// A connection ends when it is old enough, and those that came together do not end
// together.
func TestMaxAge(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.MaxAge = 2 * time.Second })
	begun := time.Now()
	c := r.connect("alice")
	_ = c.SetReadDeadline(begun.Add(20 * time.Second))
	_, _, err := c.ReadMessage()
	if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Fatalf("it ended with %v", err)
	}
	// A fifth less, and a second because an age is kept to the second.
	if took := time.Since(begun); took < 600*time.Millisecond {
		t.Errorf("it ended after %s", took)
	}
	eventually(t, "it is counted", func() bool { return r.server.Stats().Ended["max_age"] == 1 })
}

func TestAgesDiffer(t *testing.T) {
	t.Parallel()
	const age = 1000 * time.Second
	l := &loop{server: &Server{cfg: Config{MaxAge: age}}}
	seen := make(map[time.Duration]bool)
	for fd := range int32(1000) {
		c := &conn{fd: fd, loop: l}
		l.server.conns.set(fd, c)
		l.server.conns.setOpened(fd, 5*time.Second)
		at := l.tooOldAt(c) - 5*time.Second
		if at > age || at < age*8/10 {
			t.Fatalf("descriptor %d: %s", fd, at)
		}
		if again := l.tooOldAt(c) - 5*time.Second; again != at {
			t.Fatalf("%s, and then %s", at, again)
		}
		seen[at.Round(time.Second)] = true
	}
	if len(seen) < 150 {
		t.Errorf("of 1000 connections only %d ages differ by more than a second", len(seen))
	}
}
