package controller

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

// startWorkers starts workers in this process. Each has one user.
func startWorkers(t *testing.T, server netip.AddrPort, workers, each int) *Controller {
	t.Helper()
	var pipes []Pipes
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait) // after the commands of all have ended
	for i := range workers {
		commands, in := io.Pipe()
		out, responses := io.Pipe()
		cfg := swarm.Config{Server: server, Path: "/ws", Secret: []byte("s"), PerUser: each, FirstUser: i, FirstSource: i, Sources: 1}
		serving.Go(func() {
			if err := Serve(t.Context(), cfg, each, swarm.Pace{}, commands, responses); err != nil {
				t.Error(err)
			}
			_ = responses.Close()
		})
		t.Cleanup(func() { _ = in.Close() })
		pipes = append(pipes, Pipes{in, out})
	}
	return New(pipes)
}

func TestControllerAddsUp(t *testing.T) {
	t.Parallel()
	// The first three connections get what every user 0 waits for.
	server := serve(t, func(nth int) *note.Note {
		if nth > 3 {
			return nil
		}
		return &note.Note{User: 0, Seq: 1, At: time.Now().UnixNano()}
	})
	c := startWorkers(t, server, 1, 5)
	if _, err := c.Send(Open); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		now, err := c.Send(Status)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%+v, %v", now, err)
		}
		if now.Stats.Open == 5 && now.Stats.Received == 3 {
			break
		}
	}
	got, err := c.Send(Results)
	if err != nil || got.Missing != 2 || got.Latencies.TotalCount() != 3 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWorkersWorkTogether(t *testing.T) {
	t.Parallel()
	c := startWorkers(t, serve(t, func(int) *note.Note { return nil }), 3, 4)
	if _, err := c.Send(Open); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		now, err := c.Send(Status)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%+v, %v", now, err)
		}
		if now.Stats.Open == 12 {
			break
		}
	}
	if _, err := c.Send(Measure); err != nil {
		t.Fatal(err)
	}
	got, err := c.Send(Results)
	if err != nil || got.Missing != 12 || got.Latencies.TotalCount() != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestUnknownCommandEndsAWorker(t *testing.T) {
	t.Parallel()
	cfg := swarm.Config{Server: netip.MustParseAddrPort("127.0.0.1:1"), Path: "/ws"}
	err := Serve(t.Context(), cfg, 1, swarm.Pace{}, strings.NewReader("sing\n"), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "sing") {
		t.Errorf("got %v", err)
	}
}
