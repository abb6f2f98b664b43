package netpoll

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"roost/hub"
)

// carrier carries sections over a socket pair, as two processes do.
type carrier struct {
	t    testing.TB
	near *os.File
	acks chan error
	take func(section []byte, fds []int) error // of the reader; set before anything is sent

	mu      sync.Mutex
	kept    [][]byte // copies of all sections; guarded by mu, as the next
	keptFDs []int    // how many descriptors went with each
	keep    bool     // keep them; else only their bytes are counted
	bytes   int
}

func newCarrier(t testing.TB, take func(section []byte, fds []int) error) *carrier {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &carrier{t: t, near: os.NewFile(uintptr(pair[0]), "near"), keep: true, acks: make(chan error, 1), take: take}
	far := os.NewFile(uintptr(pair[1]), "far")
	ended := make(chan struct{})
	go func() { defer close(ended); c.read(far) }()
	t.Cleanup(func() { _ = c.near.Close(); <-ended; _ = far.Close() })
	return c
}

// send is a Send that waits until the other side has taken the section.
func (c *carrier) send(section []byte, fds []int) error {
	if len(section) > maxSection || len(fds) > 250 {
		c.t.Errorf("a section of %d bytes and %d descriptors", len(section), len(fds))
	}
	c.mu.Lock()
	if c.bytes += len(section); c.keep {
		c.kept, c.keptFDs = append(c.kept, append([]byte(nil), section...)), append(c.keptFDs, len(fds))
	}
	c.mu.Unlock()
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(section)))
	if err := unix.Sendmsg(int(c.near.Fd()), head, oob, nil, 0); err != nil {
		return err
	}
	for rest := section; len(rest) > 0; {
		n, err := c.near.Write(rest)
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	return <-c.acks
}

// read is the other side's goroutine.
func (c *carrier) read(far *os.File) {
	oob := make([]byte, unix.CmsgSpace(4*250))
	for {
		var head [4]byte
		n, got, _, _, err := unix.Recvmsg(int(far.Fd()), head[:], oob, unix.MSG_CMSG_CLOEXEC)
		if err != nil || n != len(head) {
			return
		}
		var fds []int
		messages, _ := unix.ParseSocketControlMessage(oob[:got])
		for i := range messages {
			if all, err := unix.ParseUnixRights(&messages[i]); err == nil {
				fds = append(fds, all...)
			}
		}
		section := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(far, section); err != nil {
			return
		}
		err = c.take(section, fds)
		clear(section) // nothing of it may be kept
		c.acks <- err
	}
}

// move is a handover between two servers in one process.
type move struct {
	*carrier
	old, next *rig
	out       *HandingOver
	in        *TakingOver
	preCopy   time.Duration // that PreCopy took
}

// held makes a server like r whose loops are held back. serve has it serve.
func (r *rig) held(change func(*Config)) (next *rig, serve func()) {
	t := r.t
	t.Helper()
	ln, err := Listen(t.Context(), ListenConfig{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := r.server.cfg
	cfg.Hub = hub.New(hub.Config{Logger: slog.New(slog.DiscardHandler)})
	cfg.HoldLoops = true
	if change != nil {
		change(&cfg)
	}
	server, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	next = &rig{t: t, server: server, hub: cfg.Hub, addr: ln.Addr().String(), served: make(chan error, 1)}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = ln.Close()
		if err := server.Shutdown(ctx, GoingAway()); err != nil {
			t.Errorf("shutting down the next one: %v", err)
		}
	})
	plain, secure := ln, (*net.TCPListener)(nil)
	if cfg.TLS != nil {
		plain, secure = nil, ln
	}
	return next, func() {
		go func() { next.served <- server.Serve(plain, secure) }()
	}
}

// begin begins a handover to a new server, up to and with PreCopy.
func (r *rig) begin(change func(*Config)) (m *move, serve func()) {
	t := r.t
	t.Helper()
	m = &move{old: r}
	m.next, serve = r.held(change)
	var err error
	if m.in, err = m.next.server.BeginTakeover(); err != nil {
		t.Fatal(err)
	}
	m.carrier = newCarrier(t, m.in.Take)
	if m.out, err = r.server.BeginHandover(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.out.Abort) // so that a test that fails while the loops stand still ends
	begun := time.Now()
	if err := m.out.PreCopy(t.Context(), m.send); err != nil {
		t.Fatal(err)
	}
	m.preCopy = time.Since(begun)
	return m, serve
}

// freeze goes on up to Finish.
func (m *move) freeze() TakenOver {
	t := m.t
	t.Helper()
	if err := m.out.Freeze(t.Context(), m.send); err != nil {
		t.Fatal(err)
	}
	if err := m.out.Export(m.send); err != nil {
		t.Fatal(err)
	}
	taken, err := m.in.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

// handOver hands all over to a new server, and returns that.
func (r *rig) handOver(change func(*Config)) (next *rig, handed Handed) {
	r.t.Helper()
	m, serve := r.begin(change)
	taken := m.freeze()
	handed = m.out.Commit()
	serve()
	eventually(r.t, "the old one has let go", func() bool {
		s := r.server.Stats()
		return s.HandedOver == handed.Connections && s.Pending == handed.Stay[stayHandshake]
	})
	if taken.Connections != handed.Connections || taken.Notifications != handed.Notifications || taken.Handshakes != handed.Handshakes {
		r.t.Errorf("%+v were handed over, and %+v taken", handed, taken)
	}
	r.balanced()
	m.next.balanced()
	return m.next, handed
}

// numbered delivers notifications from one number up to another one.
func (r *rig) numbered(user string, from, to int) {
	for i := from; i < to; i++ {
		r.deliver(user, fmt.Sprintf(`{"type":"n","payload":%d}`, i))
	}
}

// expectNumbers reads the notifications of numbered.
func (c *raw) expectNumbers(t testing.TB, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		_, payload := c.readFrame(t)
		if want := fmt.Sprintf(`"payload":%d`, i); !strings.Contains(string(payload), want) {
			t.Fatalf("%.200q in place of number %d", payload, i)
		}
	}
}

// secureRig starts a server with a TLS port, on a listener that can be handed over.
func secureRig(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	ln, err := Listen(t.Context(), ListenConfig{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	return startSecure(t, testTLS(t, TLSOptions{}), change, ln)
}

func tlsClient(conn net.Conn) *tls.Conn {
	return tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
}

func tls12Client(conn net.Conn) *tls.Conn {
	return tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
}

// upgraded sends the request of a user and reads the 101.
func upgraded(t testing.TB, conn net.Conn, user string) *raw {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, upgradeRequest(t, user)); err != nil {
		t.Fatal(err)
	}
	return answered(t, conn)
}

// answered reads the 101.
func answered(t testing.TB, conn net.Conn) *raw {
	t.Helper()
	c := &raw{conn, bufio.NewReader(conn)}
	response, err := http.ReadResponse(c.r, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrading: %v, %v", response, err)
	}
	return c
}
