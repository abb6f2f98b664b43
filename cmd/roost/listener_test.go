package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// lockedBuffer is a buffer for any goroutine. roosttest.Log would do, but roosttest runs servers, and this test is compiled for
// systems without any too.
type lockedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// A server that names positions: the listener comes back with the last one, and prints notifications and nothing else.
func TestListenerComesBack(t *testing.T) {
	t.Parallel()
	// The server's messages on each connection, and how it ends it.
	said := []struct {
		messages []string
		code     websocket.StatusCode
		reason   string
	}{
		{[]string{`{"type":"_hello","payload":{"id":"m.0"}}`, `{"type":"n","payload":1,"id":"m.1"}`}, 1001, "the server is stopping id=m.2"},
		{[]string{`{"type":"_hello","payload":{"id":"m.2","resumed":{"missed":2}}}`, `{"type":"n","payload":3,"id":"m.3"}`}, 1001, "before the second of both"},
		{[]string{`{"type":"_hello","payload":{"id":"m.9","resumed":false}}`, `{"type":"_gap","payload":{"reason":"resume"}}`, `{"type":"pong","id":"m.10"}`}, 1001, ""},
		{[]string{`{"type":"_hello","payload":{"id":"m.10","resumed":{"missed":0}}}`}, 4403, "out"},
	}
	var mu sync.Mutex
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		now := said[len(asked)]
		asked = append(asked, r.URL.Query().Get("since"))
		mu.Unlock()
		for _, message := range now.messages {
			_ = conn.Write(r.Context(), websocket.MessageText, []byte(message))
		}
		_ = conn.Close(now.code, now.reason)
	}))
	t.Cleanup(server.Close)
	var stdout bytes.Buffer
	var stderr lockedBuffer // what is said two seconds after a connection, on a machine that stood still, comes from another goroutine
	l := listener{
		env:      &environment{ctx: t.Context(), stdout: &stdout, stderr: &stderr},
		position: "m.given",
		address: func(since string) (string, error) {
			return fmt.Sprintf("ws%s/ws?since=%s", strings.TrimPrefix(server.URL, "http"), since), nil
		},
		pause: func(context.Context, time.Duration) bool { return true },
	}
	if err := l.run(); err == nil || !strings.Contains(err.Error(), "4403 out") {
		t.Errorf("it ended with %v", err)
	}
	if want := []string{"m.given", "m.2", "m.3", "m.10"}; !slices.Equal(asked, want) {
		t.Errorf("it came back with %q, want %q", asked, want)
	}
	const printed = `{"type":"n","payload":1,"id":"m.1"}` + "\n" + `{"type":"n","payload":3,"id":"m.3"}` + "\n" + `{"type":"_gap","payload":{"reason":"resume"}}` + "\n"
	if stdout.String() != printed {
		t.Errorf("it printed %q", stdout.String())
	}
	for _, text := range []string{"resumed: 2 missed\n", "not resumed: the server can't say what was missed\n", "resumed: 0 missed\n"} {
		if strings.Count(stderr.String(), "\n"+text) != 1 {
			t.Errorf("it says %q, without %q once", stderr.String(), text)
		}
	}
}

// A server that names none: the end of the connection is the end, as it was told.
func TestListenerOfAServerWithoutPositions(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := websocket.Accept(w, r, nil); err == nil {
			_ = conn.Write(r.Context(), websocket.MessageText, []byte(`{"type":"n","payload":1}`))
			_ = conn.Close(1001, "the server is stopping")
		}
	}))
	t.Cleanup(server.Close)
	var stdout, stderr bytes.Buffer
	l := listener{
		env:     &environment{ctx: t.Context(), stdout: &stdout, stderr: &stderr},
		address: func(string) (string, error) { return "ws" + strings.TrimPrefix(server.URL, "http") + "/ws", nil },
	}
	if err := l.run(); err == nil || err.Error() != "the server closed the connection with 1001 the server is stopping" {
		t.Errorf("it ended with %v", err)
	}
	if stdout.String() != `{"type":"n","payload":1}`+"\n" || strings.Count(stderr.String(), "\n") != 1 {
		t.Errorf("it printed %q and %q", stdout.String(), stderr.String())
	}
}
