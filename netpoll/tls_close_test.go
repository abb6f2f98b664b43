package netpoll

import (
	"crypto/tls"
	"errors"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The close_notify of a connection whose kernel takes no more comes when it does: the client sees an end, and not a cut.
func TestCloseNotifyWaitsForTheKernel(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]uint16{"1.3": tls.VersionTLS13, "1.2": tls.VersionTLS12} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startTLS(t, TLSOptions{}, func(c *Config) { c.Loops, c.LingerTimeout = 1, patience })
			for range 100 { // the kernel may find room at the last moment
				if closeWithoutRoom(t, r, version) {
					return
				}
			}
			t.Skip("the kernel always had room")
		})
	}
}

// closeWithoutRoom ends a connection whose kernel is full, and reports whether the close_notify had to wait.
func closeWithoutRoom(t *testing.T, r *rig, version uint16) (waited bool) {
	t.Helper()
	_, client := r.upgradeTLS("alice", &tls.Config{MaxVersion: version})
	conns, _ := r.hub.ConnsOf("alice", 1)
	c := conns[0].(*conn)
	sent, waits := 0, make(chan bool)
	c.loop.do(func() {
		sent = fillKernel(t, c)
		c.closeWith(ReasonProtocol, nil)
		waits <- c.state == stateLingering && c.out != nil
	})
	waited = <-waits
	_ = client.SetDeadline(time.Now().Add(patience))
	if n, err := io.Copy(io.Discard, client); err != nil || int(n) != sent {
		t.Errorf("read %d bytes, %v; want %d and a close_notify", n, err, sent)
	}
	_ = client.NetConn().Close()
	eventually(t, "the connection is gone", func() bool { return r.server.Stats().Sockets == 0 })
	return waited
}

// fillKernel sends records until the kernel takes no more, and never a part of one. It returns how much they carry.
func fillKernel(t *testing.T, c *conn) (sent int) {
	const lowAt = 4 << 10
	fd := int(c.fd)
	if err := errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, lowAt),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 8<<20)); err != nil {
		t.Error(err)
	}
	for {
		unsent, err := unix.IoctlGetInt(fd, unix.SIOCOUTQNSD)
		if err != nil || unsent >= lowAt {
			return sent
		}
		sealed, err := c.seal(make([]byte, 1000))
		if err != nil {
			t.Error(err)
			return sent
		}
		// With MSG_EOR nothing is added to the last packet: the next one needs room of its own.
		n, err := unix.SendmsgN(fd, sealed, nil, nil, unix.MSG_EOR)
		if c.written += uint32(n); n != len(sealed) {
			t.Errorf("the kernel took %d of %d bytes: %v", n, len(sealed), err)
			return sent
		}
		sent += 1000
	}
}
