package netpoll

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
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
	"roost/wsproto/handshake"
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

// accounted reports whether each notification is accounted for.
func accounted(s Stats) bool {
	return s.Accepted == s.Sent+s.FailedTotal()+s.Waiting+s.HandedOverNotifications
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

// Clients get what is published before and after, in order and once, and notice nothing.
func TestHandoverKeepsConnections(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	const users, each = 10, 3
	clients := make([]*raw, 0, users*each)
	for i := range users * each {
		clients = append(clients, r.upgrade(fmt.Sprint("user", i%users)))
	}
	for i := range users {
		r.numbered(fmt.Sprint("user", i), 0, 5)
	}
	next, handed := r.handOver(nil)
	if handed.Connections != users*each || handed.Notifications != 0 || len(handed.Stay) != 0 {
		t.Errorf("%+v, want %d connections and nothing else", handed, users*each)
	}
	for i := range users {
		next.numbered(fmt.Sprint("user", i), 5, 10)
	}
	for _, c := range clients {
		c.expectNumbers(t, 0, 10)
		_, _ = c.Write(masked(0x89, "still there"))
		if opcode, payload := c.readFrame(t); opcode != 0x8a || string(payload) != "still there" {
			t.Errorf("%#x %q in place of a pong", opcode, payload)
		}
	}
	if s := r.server.Stats(); s.Sockets != 0 || s.HandedOver != users*each || s.TLS13 != 0 || len(nonZero(s.Ended)) != 0 {
		t.Errorf("the old one has %d sockets, handed over %d, and ended %v", s.Sockets, s.HandedOver, nonZero(s.Ended))
	}
	if s := next.server.Stats(); s.Sockets != users*each || s.TakenOver != users*each || s.Opened != 0 {
		t.Errorf("the new one has %d sockets, took over %d, and opened %d", s.Sockets, s.TakenOver, s.Opened)
	}
	_ = clients[1].Close()
	eventually(t, "the end of a client is seen", func() bool { return next.hub.ConnectionsOf("user1") == each-1 })
}

func nonZero(counts map[string]uint64) map[string]uint64 {
	left := make(map[string]uint64)
	for name, n := range counts {
		if n > 0 {
			left[name] = n
		}
	}
	return left
}

// Send queues of clients that don't read go along, with the frame that the kernel has a part of.
func TestHandoverOfFullQueues(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.QueueMessages = 100_000 })
	c := r.upgrade("alice")
	other := r.upgrade("alice")
	payload := strings.Repeat("x", 2000)
	n := 0
	for ; r.server.Stats().Waiting < 200; n++ {
		r.deliver("alice", fmt.Sprintf(`{"type":"n","payload":"%d %s"}`, n, payload))
	}
	next, handed := r.handOver(nil)
	if int(r.server.Stats().HandedOverNotifications) != handed.Notifications || handed.Notifications == 0 {
		t.Errorf("%d notifications were handed over, %d are counted", handed.Notifications, r.server.Stats().HandedOverNotifications)
	}
	if s := next.server.Stats(); int(s.Accepted) != handed.Notifications || s.Stalled != 2 {
		t.Errorf("%d were accepted by the new one, %d are stalled", s.Accepted, s.Stalled)
	}
	if old, now := r.server.Stats().QueuedBytes, next.server.Stats().QueuedBytes; old != 0 || now == 0 || now > handed.Notifications*2500 {
		t.Errorf("%d bytes are counted in the old one, %d in the new one", old, now)
	}
	next.deliver("alice", fmt.Sprintf(`{"type":"n","payload":"%d last"}`, n))
	for _, client := range []*raw{c, other} {
		for i := range n + 1 {
			_, text := client.readFrame(t)
			if want := fmt.Sprintf(`"payload":"%d `, i); !strings.Contains(string(text), want) {
				t.Fatalf("%.100q in place of number %d of %d", text, i, n)
			}
		}
	}
	eventually(t, "all is sent", func() bool {
		s := next.server.Stats()
		return s.Waiting == 0 && int(s.Sent) == handed.Notifications+2 && s.Stalled == 0 && s.QueuedBytes == 0
	})
	if s := r.server.Stats(); s.FailedTotal() != 0 || s.Waiting != 0 {
		t.Errorf("%d failed in the old one, and %d wait", s.FailedTotal(), s.Waiting)
	}
}

// A message that is sent half before and half after is read as one.
func TestHandoverInTheMiddleOfAMessage(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	c := r.upgrade("alice")
	ping := masked(0x81, `{"type":"ping"}`)
	if _, err := c.Write(ping[:9]); err != nil {
		t.Fatal(err)
	}
	half := func(s *Server) bool {
		found := false
		for _, l := range s.loops {
			l.mu.Lock()
			l.wheel.Each(func(c *conn) { found = found || c.extra != nil && !c.extra.decoder.Idle() })
			l.mu.Unlock()
		}
		return found
	}
	eventually(t, "half of it is read", func() bool { return half(r.server) })
	next, _ := r.handOver(nil)
	if !half(next.server) {
		t.Error("the new one does not know the half")
	}
	_, _ = c.Write(ping[9:])
	if _, payload := c.readFrame(t); string(payload) != `{"type":"pong"}` {
		t.Errorf("%q", payload)
	}
}

// An upgrade that fails changes nothing: the old process serves on, and its clients see the end of their connections.
func TestHandoverAbort(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"PreCopy", "Freeze", "Export"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			r := start(t, nil)
			clients := []*raw{r.upgrade("alice"), r.upgrade("bob"), r.upgrade("carol")}
			r.numbered("alice", 0, 3)
			m, _ := r.begin(nil)
			switch step {
			case "Freeze":
				if err := m.out.Freeze(t.Context(), m.send); err != nil {
					t.Fatal(err)
				}
			case "Export":
				m.freeze()
			}
			m.out.Abort()
			r.numbered("alice", 3, 6)
			clients[0].expectNumbers(t, 0, 6) // while the other one still has the sockets
			closeConn(r, "bob")
			for {
				if _, err := clients[1].r.ReadByte(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("bob's connection: %v, want its end", err)
				}
			}
			m.in.Abort()
			late := r.upgrade("dave")
			r.numbered("dave", 0, 3)
			late.expectNumbers(t, 0, 3)
			if s := r.server.Stats(); s.HandedOver != 0 || s.HandedOverNotifications != 0 || s.Sockets > 4 {
				t.Errorf("handed over %d and %d, %d sockets", s.HandedOver, s.HandedOverNotifications, s.Sockets)
			}
			r.balanced()
			again, _ := r.handOver(nil) // and the next upgrade works
			again.numbered("carol", 0, 3)
			clients[2].expectNumbers(t, 0, 3)
		})
	}
}

// closeConn closes a user's only connection at once.
func closeConn(r *rig, user string) {
	conns, _ := r.hub.ConnsOf(user, 1)
	c := conns[0].(*conn)
	c.loop.do(func() { c.closeNow(ReasonGone) })
}

// Connections that come and go between PreCopy and Freeze go along, or do not.
func TestHandoverOfWhatChangesMeanwhile(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	stays, goes := r.upgrade("stays"), r.upgrade("goes")
	m, serve := r.begin(nil)
	comes := r.upgrade("comes")
	both := r.upgrade("both")
	closeConn(r, "both")
	_ = both.Close()
	_ = goes.Close()
	eventually(t, "two have ended", func() bool { return r.hub.Connections() == 2 })
	taken := m.freeze()
	m.out.Commit()
	serve()
	if taken.Connections != 2 || m.next.hub.Connections() != 2 {
		t.Errorf("%d were taken over, the hub has %d", taken.Connections, m.next.hub.Connections())
	}
	m.next.numbered("stays", 0, 2)
	m.next.numbered("comes", 0, 2)
	stays.expectNumbers(t, 0, 2)
	comes.expectNumbers(t, 0, 2)
}

// Handshakes under way go along: silent ones, half requests, whole ones that wait for a subscription.
func TestHandoverOfHandshakes(t *testing.T) {
	t.Parallel()
	waits := &slowSubscriptions{}
	r := start(t, func(c *Config) { c.Subscriptions = waits; c.SubscribeWait = patience; c.HandshakeTimeout = patience })
	dial := func() net.Conn {
		conn, err := r.dialTCP()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
		return conn
	}
	request := upgradeRequest(t, "alice")
	silent, half, whole := dial(), dial(), dial()
	_, _ = io.WriteString(half, request[:40])
	_, _ = io.WriteString(whole, request)
	eventually(t, "they are on their way", func() bool {
		s := r.server.Stats()
		return s.Pending == 3 && s.Subscribing == 1 && r.server.unfinished() == 2
	})
	next, handed := r.handOver(func(c *Config) { c.Subscriptions = nil })
	if handed.Handshakes != 3 {
		t.Errorf("%+v, want 3 handshakes", handed)
	}
	_, _ = io.WriteString(silent, request)
	_, _ = io.WriteString(half, request[40:])
	for _, conn := range []net.Conn{silent, half, whole} {
		answered(t, conn)
	}
	eventually(t, "all are open", func() bool { return next.hub.ConnectionsOf("alice") == 3 })
	if n := r.server.Stats().Pending; n != 0 {
		t.Errorf("%d are pending in the old one", n)
	}
}

// slowSubscriptions confirm nothing.
type slowSubscriptions struct{}

func (*slowSubscriptions) Acquire(string, Waiter) bool { return false }
func (*slowSubscriptions) Release(string)              {}

// TLS handshakes under way end in the old process, and follow.
func TestHandoverOfLateHandshakes(t *testing.T) {
	t.Parallel()
	ln, err := Listen(t.Context(), ListenConfig{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	r := startSecure(t, testTLS(t, TLSOptions{}), func(c *Config) { c.HandshakeTimeout = patience }, ln)
	half := newHoldingConn(t, r.addr)
	done := make(chan error, 1)
	secure := tlsClient(half)
	go func() { done <- secure.HandshakeContext(t.Context()) }()
	eventually(t, "half of the hello has come", func() bool { return r.server.unfinished() == 1 })
	m, serve := r.begin(nil)
	taken := m.freeze()
	handed := m.out.Commit()
	serve()
	if taken.Handshakes != 0 || handed.Stay[stayHandshake] != 1 {
		t.Errorf("%+v were taken, %+v handed over", taken, handed)
	}
	late := newCarrier(t, m.next.server.TakeLate)
	sent := make(chan int, 1)
	go func() {
		n, err := m.out.Late(t.Context(), late.send)
		if err != nil {
			t.Error(err)
		}
		sent <- n
	}()
	half.release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	upgraded(t, secure, "alice")
	if n := <-sent; n != 1 {
		t.Errorf("%d went late, want 1", n)
	}
	eventually(t, "it is open", func() bool { return m.next.hub.ConnectionsOf("alice") == 1 })
}

// Connections of TLS 1.2 can't go along, and are told so.
func TestHandoverLeavesTLS12(t *testing.T) {
	t.Parallel()
	ln, err := Listen(t.Context(), ListenConfig{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	r := startSecure(t, testTLS(t, TLSOptions{}), nil, ln)
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	c := upgraded(t, tls12Client(conn), "alice")
	_, handed := r.handOver(nil)
	if handed.Connections != 0 || handed.Stay[stayTLS12] != 1 {
		t.Errorf("%+v, want one that stays", handed)
	}
	if opcode, payload := c.readFrame(t); opcode != 0x88 || binary.BigEndian.Uint16(payload) != 1001 {
		t.Errorf("%#x %q in place of a close frame", opcode, payload)
	}
	if s := r.server.Stats(); s.Ended["restart"] != 1 {
		t.Errorf("ended: %v", nonZero(s.Ended))
	}
}

// Connections for which the new process has no room are told so.
func TestHandoverToLowerLimits(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	clients := []*raw{r.upgrade("alice"), r.upgrade("bob"), r.upgrade("carol")}
	m, serve := r.begin(func(c *Config) {
		c.Hub = hub.New(hub.Config{Limits: hub.Limits{MaxConnections: 2}, Logger: slog.New(slog.DiscardHandler)})
	})
	m.next.hub = m.next.server.cfg.Hub
	taken := m.freeze()
	m.out.Commit()
	serve()
	if taken.Connections != 3 || taken.Refused[handshake.RefuseFull(0).Reason.String()] != 1 {
		t.Errorf("%+v, want one of three refused", taken)
	}
	eventually(t, "it is closed", func() bool { return m.next.server.Stats().Ended["restart"] == 1 })
	closed := 0
	for i, user := range []string{"alice", "bob", "carol"} {
		if m.next.hub.ConnectionsOf(user) == 1 {
			m.next.numbered(user, 0, 1)
			clients[i].expectNumbers(t, 0, 1)
			continue
		}
		closed++
		if opcode, payload := clients[i].readFrame(t); opcode != 0x88 || binary.BigEndian.Uint16(payload) != 4503 {
			t.Errorf("%#x %q in place of a close frame", opcode, payload)
		}
	}
	if closed != 1 {
		t.Errorf("%d are closed", closed)
	}
}

// A second handover while one is under way is refused; so is one in the wrong order.
func TestHandoverOnce(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	m, _ := r.begin(nil)
	if _, err := r.server.BeginHandover(); !errors.Is(err, errHandover) {
		t.Errorf("%v, want that there is one", err)
	}
	if err := m.out.Export(m.send); !errors.Is(err, errOrder) {
		t.Errorf("%v, want that it comes too early", err)
	}
	if _, err := r.server.BeginTakeover(); err == nil {
		t.Error("a server that serves took over connections")
	}
	m.out.Abort()
	m.in.Abort()
}

// holdingConn holds back the second half of what is written to it first, until release.
type holdingConn struct {
	net.Conn
	goOn    chan struct{}
	release func()
	once    sync.Once
}

func newHoldingConn(t testing.TB, addr string) *holdingConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	h := &holdingConn{Conn: conn, goOn: make(chan struct{})}
	h.release = sync.OnceFunc(func() { close(h.goOn) })
	t.Cleanup(h.release)
	return h
}

func (h *holdingConn) Write(b []byte) (n int, err error) {
	h.once.Do(func() {
		if n, err = h.Conn.Write(b[:len(b)/2]); err == nil {
			<-h.goOn
			b = b[n:]
		}
	})
	if err != nil {
		return n, err
	}
	more, err := h.Conn.Write(b)
	return n + more, err
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
