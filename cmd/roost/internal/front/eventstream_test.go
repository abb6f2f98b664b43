package front

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"roost/cmd/roost/internal/roosttest"
)

// stream opens an event stream through the proxy, and returns its lines.
func (f *front) stream(user string) *bufio.Reader {
	f.t.Helper()
	conn, err := tls.DialWithDialer(from("127.0.0.2"), "tcp", f.addr, f.tls)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(roosttest.Limit))
	if _, err := fmt.Fprintf(conn, "GET /sse?token=%s HTTP/1.1\r\nHost: roost.example\r\nAccept: text/event-stream\r\n\r\n", roosttest.Token(f.t, user)); err != nil {
		f.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		f.t.Fatalf("asking through %s for an event stream: %+v, %v", f.kind.name, response, err)
	}
	return bufio.NewReader(response.Body)
}

// Events come at once, an idle stream outlasts the proxy's patience by its heartbeats, and its end comes with the close event.
func TestEventStream(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	forEach(t, func(t *testing.T, k *kind) {
		f := start(t, k, roosttest.Env{"WS_PING_INTERVAL": "250ms", "WS_PONG_WAIT": "20s"}, k.stream...)
		lines := f.stream("alice")
		next := func() string {
			t.Helper()
			line, err := lines.ReadString('\n')
			if err != nil && err != io.EOF {
				t.Fatal(err)
			}
			return line
		}
		if first := next(); !strings.HasPrefix(first, "retry: ") {
			t.Errorf("the stream begins with %q", first)
		}
		for beats, begin := 0, time.Now(); beats < 12 || time.Since(begin) < 4*time.Second; {
			switch line := next(); line {
			case ":\n":
				beats++
			case "":
				t.Fatalf("after %d heartbeats and %v the stream ends", beats, time.Since(begin))
			}
		}
		f.redis.Publish("user_noti:alice", `{"type":"n","payload":1}`)
		line := next()
		for ; !strings.HasPrefix(line, "data: "); line = next() {
		}
		if !strings.HasPrefix(line, `data: {"type":"n","payload":1,`) {
			t.Errorf("got %q", line)
		}
		if code := f.server.Stop(); code != 0 {
			t.Errorf("Roost ended with %d", code)
		}
		for line = next(); line != "event: close\n"; line = next() {
			if line == "" {
				t.Fatal("the stream ends without a close event")
			}
		}
		if line = next(); !strings.HasPrefix(line, `data: {"code":1001,`) {
			t.Errorf("the close event is %q", line)
		}
	})
}
