package crowd

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/swarm"
)

// serve starts a server that greets each connection with the notification that
// greet says, if any.
func serve(t *testing.T, greet func(nth int) *note.Note) netip.AddrPort {
	t.Helper()
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	var mu sync.Mutex
	nth := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		mu.Lock()
		nth++
		n := greet(nth)
		mu.Unlock()
		if n != nil {
			_ = conn.WriteMessage(websocket.TextMessage, n.Append(nil, 10))
		}
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	return netip.MustParseAddrPort(server.Listener.Addr().String())
}

// assemble starts members in this process. Each has one user.
func assemble(t *testing.T, server netip.AddrPort, members, each int) *Crowd {
	t.Helper()
	var voices []Voice
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait) // after the orders of all have ended
	for i := range members {
		orders, in := io.Pipe()
		out, answers := io.Pipe()
		cfg := swarm.Config{Server: server, Path: "/ws", Secret: []byte("s"), PerUser: each, FirstUser: i, FirstSource: i, Sources: 1}
		serving.Go(func() {
			if err := Serve(t.Context(), cfg, each, swarm.Pace{}, orders, answers); err != nil {
				t.Error(err)
			}
			_ = answers.Close()
		})
		t.Cleanup(func() { _ = in.Close() })
		voices = append(voices, Voice{in, out})
	}
	return New(voices)
}

func TestCrowdAddsUp(t *testing.T) {
	t.Parallel()
	// The first three connections get what every user 0 waits for.
	server := serve(t, func(nth int) *note.Note {
		if nth > 3 {
			return nil
		}
		return &note.Note{User: 0, Seq: 1, At: time.Now().UnixNano()}
	})
	c := assemble(t, server, 1, 5)
	if _, err := c.Tell(Open); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		now, err := c.Tell(Look)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%+v, %v", now, err)
		}
		if now.Stats.Open == 5 && now.Stats.Received == 3 {
			break
		}
	}
	got, err := c.Tell(Results)
	if err != nil || got.Missing != 2 || got.Latencies.TotalCount() != 3 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestMembersWorkTogether(t *testing.T) {
	t.Parallel()
	c := assemble(t, serve(t, func(int) *note.Note { return nil }), 3, 4)
	if _, err := c.Tell(Open); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		now, err := c.Tell(Look)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%+v, %v", now, err)
		}
		if now.Stats.Open == 12 {
			break
		}
	}
	if _, err := c.Tell(Measure); err != nil {
		t.Fatal(err)
	}
	got, err := c.Tell(Results)
	if err != nil || got.Missing != 12 || got.Latencies.TotalCount() != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestUnknownOrderEndsAMember(t *testing.T) {
	t.Parallel()
	cfg := swarm.Config{Server: netip.MustParseAddrPort("127.0.0.1:1"), Path: "/ws"}
	err := Serve(t.Context(), cfg, 1, swarm.Pace{}, strings.NewReader("sing\n"), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "sing") {
		t.Errorf("got %v", err)
	}
}
