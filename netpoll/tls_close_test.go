package netpoll

import (
	"cmp"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
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

// Two servers share both ports, as the old process and the new one do in an upgrade. The old one lets go of them while clients
// come: none is refused, and from then on all come to the new one.
func TestBothSharedPortsAreLetGoOf(t *testing.T) {
	t.Parallel()
	old, secureAddr, again := sharedPorts(t)
	var coming sync.WaitGroup
	for range 4 {
		for _, on := range []string{"", secureAddr} {
			coming.Go(func() {
				for range 10 {
					greetOnce(t, old, on)
				}
			})
		}
	}
	old.server.StopAccepting(t.Context(), true)
	before := old.server.Stats().SocketsOpened
	coming.Wait()
	for _, on := range []string{"", secureAddr} {
		greetOnce(t, old, on)
	}
	if n := old.server.Stats().SocketsOpened; n != before {
		t.Errorf("the old server accepted %d more after it had let go", n-before)
	}
	if n := again.Stats().TLSHandshakes; len(n) == 0 {
		t.Error("nobody came to the TLS port of the new server")
	}
}

// sharedPorts starts two servers on the same two listening sockets.
func sharedPorts(t *testing.T) (old *rig, secureAddr string, again *Server) {
	t.Helper()
	listen := func() (*net.TCPListener, *net.TCPListener) {
		ln, err := Listen(t.Context(), ListenConfig{Address: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		file, err := ln.File()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = file.Close() }()
		other, err := net.FileListener(file)
		if err != nil {
			t.Fatal(err)
		}
		return ln, other.(*net.TCPListener)
	}
	plain, plainAgain := listen()
	secure, secureAgain := listen()
	with := testTLS(t, TLSOptions{})
	old = startOnBoth(t, with, nil, plain, secure)
	eventually(t, "both ports are open", func() bool {
		return old.server.plain.isOpen() && old.server.secure.isOpen()
	})
	next := startOnBoth(t, with, nil, plainAgain, secureAgain)
	eventually(t, "both ports are open again", func() bool {
		return next.server.plain.isOpen() && next.server.secure.isOpen()
	})
	return old, secure.Addr().String(), next.server
}

func (l *listener) isOpen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fd != 0
}

// greetOnce asks for /health on the plain port, or on the TLS port at an address.
func greetOnce(t *testing.T, r *rig, secureAddr string) {
	conn, err := net.Dial("tcp", cmp.Or(secureAddr, r.addr))
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if secureAddr != "" {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	_, _ = io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
	if b, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200 ") {
		t.Errorf("answer %.30q, %v", b, err)
	}
}
