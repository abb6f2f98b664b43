package netpoll

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roost/hub"
)

// A client that the server closes has the time to answer: the end of TCP comes behind the client's close frame, in
// whatever pieces that comes and whatever stands before it, and not behind the server's.
func TestBothCloseFramesAreExchanged(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ before, after []byte }{
		"the close frame alone":      {nil, masked(0x88, "\x03\xe9")},
		"behind other frames":        {nil, append(masked(0x81, `{"type":"x"}`), masked(0x88, "")...)},
		"the rest of a frame before": {masked(0x81, "hello")[:5], append(masked(0x81, "hello")[5:], masked(0x88, "\x03\xe9")...)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startWithHub(t, hub.Config{Limits: hub.Limits{MaxPerUser: 1, ReplaceOldest: true}}, func(c *Config) { c.LingerTimeout = time.Minute })
			client := r.upgrade("alice")
			was := r.server.Stats().BytesIn
			if _, err := client.Write(tt.before); err != nil {
				t.Fatal(err)
			}
			eventually(t, "what was sent is read", func() bool { return r.server.Stats().BytesIn >= was+len(tt.before) })
			r.connect("alice") // takes the place of the first
			if opcode, payload := client.readFrame(t); opcode != 0x88 || string(payload[:2]) != "\x11\x4d" {
				t.Fatalf("%x % x, want a close frame with 4429", opcode, payload)
			}
			_ = client.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			if _, err := client.r.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("behind the server's close frame: %v, want nothing yet", err)
			}
			_ = client.SetReadDeadline(time.Now().Add(patience))
			for i := range tt.after {
				if _, err := client.Write(tt.after[i : i+1]); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := client.r.ReadByte(); err != io.EOF {
				t.Fatalf("behind both close frames: %v, want EOF", err)
			}
		})
	}
}

// A client that never answers is closed when its time is over.
func TestCloseFrameThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	r := startWithHub(t, hub.Config{Limits: hub.Limits{MaxPerUser: 1, ReplaceOldest: true}}, func(c *Config) { c.LingerTimeout = 50 * time.Millisecond })
	client := r.upgrade("alice")
	r.connect("alice")
	client.readFrame(t)
	if _, err := client.r.ReadByte(); err != io.EOF {
		t.Fatalf("%v, want EOF", err)
	}
}

// A client that offers the sub-protocol knows the codes, and is told; others get the HTTP answer.
func TestRejectsTheKnowingAfterTheUpgrade(t *testing.T) {
	t.Parallel()
	for mode, want := range map[RejectMode][2]int{RejectKnowing: {401, 101}, RejectAlways: {101, 101}, RejectNever: {401, 401}} {
		r := start(t, func(c *Config) { c.RejectAfterUpgrade = mode })
		for i, header := range []http.Header{nil, {"Sec-Websocket-Protocol": {"roost.v1"}}} {
			conn, response, err := r.dialer().Dial("ws://"+r.addr+"/ws?token=undefined", header)
			if response == nil || response.StatusCode != want[i] {
				t.Fatalf("mode %d, client %d: %v, %v; want %d", mode, i, response, err, want[i])
			}
			if want[i] != 101 {
				continue
			}
			if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, 4401) || !strings.Contains(err.Error(), "undefined") {
				t.Errorf("mode %d, client %d: %v", mode, i, err)
			}
			_ = conn.Close()
		}
	}
}

// Clients that have got their answer and don't close are waited for, but not for
// many at a time: the others are closed at once. They get their answer, too.
func TestLingeringSocketsAreBounded(t *testing.T) {
	t.Parallel()
	const bound, clients = 3, 10
	r := start(t, func(c *Config) { c.Loops, c.LingeringSockets, c.LingerTimeout = 1, bound, time.Minute })
	for i := range clients {
		conn, err := r.dialTCP()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(conn, "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn) // until the server has shut its side
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 404 ") {
			t.Fatalf("client %d got %.60q, %v", i, answer, err)
		}
	}
	eventually(t, "those beyond the bound are closed", func() bool {
		s := r.server.Stats()
		return s.Lingering == bound && s.Sockets == bound && s.LingerCut == clients-bound
	})
}
