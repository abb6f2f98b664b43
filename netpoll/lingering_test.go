package netpoll

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// Clients that have got their answer and don't close are waited for, but not for
// many at a time: the others are closed at once. They get their answer, too.
func TestLingeringSocketsAreBounded(t *testing.T) {
	t.Parallel()
	const bound, clients = 3, 10
	r := start(t, func(c *Config) { c.Loops, c.LingeringSockets, c.LingerTimeout = 1, bound, time.Minute })
	for i := range clients {
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
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
