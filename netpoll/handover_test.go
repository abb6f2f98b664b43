package netpoll

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"roost/hub"
	"roost/wsproto/handshake"
)

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
		r.deliverThrough("alice", fmt.Sprintf(`{"type":"n","payload":"%d %s"}`, n, payload))
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

// Connections of TLS 1.2 can't go along, and are told so.
func TestHandoverLeavesTLS12(t *testing.T) {
	t.Parallel()
	r := secureRig(t, nil)
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
