package front

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"roost/cmd/roost/internal/roosttest"
)

// stream opens an event stream through the proxy, and returns its lines.
func (f *front) stream(user string) (*bufio.Reader, error) {
	f.t.Helper()
	conn, err := tls.DialWithDialer(from("127.0.0.2"), "tcp", f.addr, f.tls)
	if err != nil {
		return nil, err
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(roosttest.Limit))
	if _, err := fmt.Fprintf(conn, "GET /sse?token=%s HTTP/1.1\r\nHost: roost.example\r\nAccept: text/event-stream\r\n\r\n", roosttest.Token(f.t, user)); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil && (response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream") {
		err = fmt.Errorf("answered %s, %s", response.Status, response.Header.Get("Content-Type"))
	}
	if err != nil {
		return nil, fmt.Errorf("asking through %s for an event stream: %w", f.kind.name, err)
	}
	return bufio.NewReader(response.Body), nil
}

// Events come at once, an idle stream outlasts the proxy's patience by its heartbeats, and its end comes with the close event. Where the
// machine stands still for as long as that patience the proxy gives up, and it is tried again.
func TestEventStream(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	forEach(t, func(t *testing.T, k *kind) {
		f := start(t, k, roosttest.Env{"WS_PING_INTERVAL": "250ms", "WS_PONG_WAIT": "20s"}, k.stream...)
		for try := 1; ; try++ {
			early := f.wholeStream()
			if early == nil {
				return
			}
			if t.Logf("try %d: %v", try, early); try == tries {
				t.Fatal("the stream has ended early each time")
			}
			if f.server.Exited() {
				f.server = roosttest.Start(t, f.redis, f.env)
				f.awaitRoost()
			}
		}
	})
}

// wholeStream looks at a stream until Roost is stopped, or the stream ends before all has come, which is an error.
func (f *front) wholeStream() error {
	f.t.Helper()
	lines, err := f.stream("alice")
	if err != nil {
		return err
	}
	next := func() string {
		line, err := lines.ReadString('\n')
		if err != nil {
			return ""
		}
		return line
	}
	if first := next(); first != "" && !strings.HasPrefix(first, "retry: ") {
		f.t.Errorf("the stream begins with %q", first)
	}
	for beats, begin := 0, time.Now(); beats < 12 || time.Since(begin) < 4*time.Second; {
		switch line := next(); line {
		case ":\n":
			beats++
		case "":
			return fmt.Errorf("the stream ends after %d heartbeats and %v", beats, time.Since(begin))
		}
	}
	f.redis.Publish("user_noti:alice", `{"type":"n","payload":1}`)
	line := next()
	for ; line != "" && !strings.HasPrefix(line, "data: "); line = next() {
	}
	if line == "" {
		return errors.New("the stream ends before a notification")
	}
	if !strings.HasPrefix(line, `data: {"type":"n","payload":1,`) {
		f.t.Errorf("got %q", line)
	}
	if code := f.server.Stop(); code != 0 {
		f.t.Errorf("Roost ended with %d", code)
	}
	for line = next(); line != "event: close\n"; line = next() {
		if line == "" {
			return errors.New("the stream ends without a close event")
		}
	}
	if line = next(); !strings.HasPrefix(line, `data: {"code":1001,`) {
		f.t.Errorf("the close event is %q", line)
	}
	return nil
}
