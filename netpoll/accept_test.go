package netpoll

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// The listening socket goes round: no loop gets more than its share.
func TestConnectionsAreSharedOut(t *testing.T) {
	t.Parallel()
	const loops, clients = 4, 200
	r := start(t, func(c *Config) { c.Loops = loops })
	for i := range clients {
		if i%50 == 0 {
			r.connect(fmt.Sprint("user", i)) // one that talks
			continue
		}
		conn, err := r.dialTCP()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	eventually(t, "all are accepted", func() bool { return r.server.Stats().Sockets == clients })
	for _, l := range r.server.loops {
		if n := l.stats.sockets.Load(); n < clients/loops-acceptBatch || n > clients/loops+acceptBatch {
			t.Errorf("loop %d has %d of %d sockets", l.index, n, clients)
		}
	}
}

// Options of the listener hold for the sockets that come from it.
func TestAcceptedSocketsInheritOptions(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.Loops = 1 })
	r.connect("alice")
	l := r.server.loops[0]
	tests := map[string]struct{ level, name, want int }{
		"TCP_NODELAY":       {unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		"SO_KEEPALIVE":      {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		"TCP_KEEPIDLE":      {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 120},
		"TCP_NOTSENT_LOWAT": {unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, leastUnsent},
		"SO_BUF_LOCK":       {unix.SOL_SOCKET, unix.SO_BUF_LOCK, 0}, // the kernel sizes the send buffer
	}
	type answer struct {
		name  string
		value int
		err   error
	}
	answers := make(chan answer, len(tests))
	l.do(func() {
		l.wheel.Each(func(c *conn) {
			for name, tt := range tests {
				value, err := unix.GetsockoptInt(int(c.fd), tt.level, tt.name)
				answers <- answer{name, value, err}
			}
		})
	})
	for range tests {
		if a := <-answers; a.err != nil || a.value != tests[a.name].want {
			t.Errorf("%s is %d (%v), want %d", a.name, a.value, a.err, tests[a.name].want)
		}
	}
}
