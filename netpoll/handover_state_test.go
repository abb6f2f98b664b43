package netpoll

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// open returns the open connections of a server that stands still, by user.
func (s *Server) openByUser() map[string]*conn {
	all := make(map[string]*conn)
	for _, l := range s.loops {
		l.wheel.Each(func(c *conn) {
			if c.state == stateOpen {
				all[c.link.User()] = c
			}
		})
	}
	return all
}

// countingSubscriptions count what is acquired.
type countingSubscriptions struct {
	mu   sync.Mutex
	held map[string]int
}

func (s *countingSubscriptions) Acquire(user string, _ Waiter) bool { s.add(user, 1); return true }
func (s *countingSubscriptions) Release(user string)                { s.add(user, -1) }

func (s *countingSubscriptions) add(user string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held = make(map[string]int)
	}
	s.held[user] += n
}

func (s *countingSubscriptions) of(user string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[user]
}

// Each field of a connection is what it was, its timer stands where it should, and limits and subscriptions count it.
func TestHandoverKeepsState(t *testing.T) {
	t.Parallel()
	ours := new(countingSubscriptions)
	r := startStreams(t, func(c *Config) {
		c.MaxPerIP, c.CloseOnExpiry, c.GapNotice = 100, true, true
		c.MessageRate, c.MessageBurst = 1, 100
		c.MaxAge = time.Hour
		c.PingInterval, c.PongWait = time.Hour, 2*time.Hour // a ping would forget an allowance that is whole
		c.Subscriptions = ours
	})
	r.upgrade("idle")
	r.stream("stream")
	busy := r.upgrade("busy")
	for range 5 {
		_, _ = busy.Write(masked(0x89, ""))
	}
	for range 5 {
		busy.readFrame(t)
	}
	half := r.upgrade("half")
	_, _ = half.Write(masked(0x81, "abc")[:7])
	deaf := r.upgrade("deaf")
	eventually(t, "one is stalled", func() bool {
		r.deliver("deaf", `{"type":"n","payload":"`+strings.Repeat("x", 20_000)+`"}`)
		return r.server.Stats().Stalled == 1
	})
	theirs := new(countingSubscriptions)
	m, serve := r.begin(func(c *Config) { c.Subscriptions = theirs })
	if taken := m.freeze(); taken.Connections != 5 {
		t.Fatalf("%+v, want 5 connections", taken)
	}
	old, next := r.server.openByUser(), m.next.server.openByUser()
	before, now, after := r.server.now(), m.next.server.now(), r.server.now()
	if now < before-time.Millisecond || now > after+time.Millisecond {
		t.Errorf("the new one's clock shows %s, the old one's %s and then %s", now, before, after)
	}
	for user, was := range old {
		is := next[user]
		if is == nil {
			t.Fatalf("%s is not there", user)
		}
		a := fmt.Sprint(was.lastRead, was.lastPing, was.expires, was.written, was.stream, r.server.conns.Opened(was.fd), was.maxAgeAt(), was.stalled())
		b := fmt.Sprint(is.lastRead, is.lastPing, is.expires, is.written, is.stream, m.next.server.conns.Opened(is.fd), is.maxAgeAt(), is.stalled())
		if a != b || was.expires == 0 {
			t.Errorf("%s was %s and is %s", user, a, b)
		}
		whole, limited := was.loop.inbound.Whole(was)
		if got, ok := is.loop.inbound.Whole(is); got != whole || ok != limited || limited != (user == "busy") {
			t.Errorf("%s: the allowance is whole at %s (%v), was %s (%v)", user, got, ok, whole, limited)
		}
		if was.extra != nil && (!bytes.Equal(was.extra.appendState(nil), is.extra.appendState(nil))) {
			t.Errorf("%s: what it has for a while differs", user)
		}
		latest := is.lastPing.ago(now)
		if due := m.next.server.moment(is.loop.wheel.At(is)) - now; due > r.server.cfg.PingInterval-latest+2*r.server.tickLength {
			t.Errorf("%s: the timer is due in %s, and the last ping was %s ago", user, due, latest)
		}
		if source, ok := m.next.server.perIP.SourceOf(is.ipSlot); !ok || source == 0 {
			t.Errorf("%s is not counted for its address", user)
		}
		if theirs.of(user) != 1 {
			t.Errorf("%s has %d subscriptions", user, theirs.of(user))
		}
	}
	m.out.Commit()
	serve()
	for user := range old {
		if ours.of(user) != 1 { // what the feed has of them is another process's
			t.Errorf("%s has %d subscriptions in the old one", user, ours.of(user))
		}
	}
	_ = deaf.Close() // the server would wait for it to read
	_ = busy.Close()
	eventually(t, "a subscription is released", func() bool { return theirs.of("busy") == 0 })
}

// Two clocks are read at one moment, also by a goroutine that stands still between the readings.
func TestClocksAreReadTogether(t *testing.T) {
	t.Parallel()
	calls, now := 0, time.Duration(0)
	clock := func() time.Duration {
		if calls++; calls == 2 || calls == 4 { // behind the other clock
			now += 2 * time.Second
		}
		return now
	}
	before, err := monotonic()
	if err != nil {
		t.Fatal(err)
	}
	shared, other, err := readTogether(clock)
	if err != nil || other != 4*time.Second || shared < before {
		t.Errorf("%s and %s, %v; want 4s, when nothing comes between", shared, other, err)
	}
}

// Event streams go along: what waits for them, and what is published later.
func TestHandoverOfEventStreams(t *testing.T) {
	t.Parallel()
	r := startStreams(t, nil)
	s := r.stream("alice")
	r.numbered("alice", 0, 3)
	next, handed := r.handOver(nil)
	if handed.Connections != 1 || r.server.Stats().EventStreams != 0 || next.server.Stats().EventStreams != 1 {
		t.Errorf("%+v; %d and %d streams", handed, r.server.Stats().EventStreams, next.server.Stats().EventStreams)
	}
	next.numbered("alice", 3, 6)
	for i := range 6 {
		if block := s.block(t); !strings.Contains(block, fmt.Sprintf(`"payload":%d`, i)) {
			t.Fatalf("%q in place of number %d", block, i)
		}
	}
}

// A TLS record that comes half before and half after is opened, and so is one that left half.
func TestHandoverInTheMiddleOfARecord(t *testing.T) {
	t.Parallel()
	r := secureRig(t, nil)
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	halves := &halvingConn{Conn: conn}
	secure := tls.Client(halves, &tls.Config{InsecureSkipVerify: true})
	c := upgraded(t, secure, "alice")
	halves.hold = true
	if _, err := secure.Write(masked(0x81, `{"type":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "half a record is kept", func() bool { return r.server.Stats().RecordBytes > 0 })
	next, _ := r.handOver(nil)
	if next.server.Stats().RecordBytes == 0 || r.server.Stats().RecordBytes != 0 {
		t.Errorf("%d bytes of records are kept in the new one, %d in the old one", next.server.Stats().RecordBytes, r.server.Stats().RecordBytes)
	}
	if _, err := conn.Write(halves.rest); err != nil {
		t.Fatal(err)
	}
	if _, payload := c.readFrame(t); string(payload) != `{"type":"pong"}` {
		t.Errorf("%q", payload)
	}
}

// halvingConn keeps the second half of what is written to it while hold is set.
type halvingConn struct {
	net.Conn
	hold bool
	rest []byte
}

func (h *halvingConn) Write(b []byte) (int, error) {
	if !h.hold {
		return h.Conn.Write(b)
	}
	h.rest = append(h.rest, b[len(b)/2:]...)
	_, err := h.Conn.Write(b[:len(b)/2])
	return len(b), err
}

// Several handovers in a row, while clients send and get notifications without a break: everything comes once and in order.
func TestHandoversInARow(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.QueueMessages = 1 << 20; c.QueueBytes = 1 << 30 })
	const users, rounds, each = 20, 5, 20
	var clients []*raw
	for i := range users {
		clients = append(clients, r.upgrade(fmt.Sprint("user", i)))
	}
	var reading sync.WaitGroup
	for _, c := range clients {
		reading.Go(func() { c.readNumbers(t, rounds*each) })
	}
	sent := uint64(0) // by those that are replaced
	for round := range rounds {
		for n := round * each; n < (round+1)*each; n++ {
			for i := range users {
				r.hub.Deliver(fmt.Sprint("user", i), fmt.Sprintf(`{"type":"n","payload":%d}`, n))
			}
			if rand.IntN(2) == 0 { // else it is in the mailboxes when the next one begins
				r.server.Flush()
			}
		}
		next, handed := r.handOver(nil)
		s := r.server.Stats()
		if s.Waiting != 0 || s.Accepted != s.Sent+uint64(handed.Notifications) {
			t.Errorf("accepted %d, sent %d, handed over %d; %d wait", s.Accepted, s.Sent, handed.Notifications, s.Waiting)
		}
		sent += s.Sent
		r = next
	}
	r.server.Flush()
	reading.Wait()
	eventually(t, "all are counted", func() bool {
		s := r.server.Stats()
		return s.Waiting == 0 && sent+s.Sent == users*rounds*each
	})
	if s := r.server.Stats(); s.Sockets != users || s.FailedTotal() != 0 {
		t.Errorf("%d sockets are left, %d failed", s.Sockets, s.FailedTotal())
	}
}

// readNumbers is expectNumbers for a goroutine of its own.
func (c *raw) readNumbers(t *testing.T, n int) {
	for i := range n {
		var head [2]byte
		for {
			_ = c.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.ReadFull(c.r, head[:]); err != nil {
				t.Errorf("behind number %d: %v", i-1, err)
				return
			}
			if head[0] != 0x89 {
				break
			}
		}
		payload := make([]byte, head[1])
		if _, err := io.ReadFull(c.r, payload); err != nil || !strings.Contains(string(payload), fmt.Sprintf(`"payload":%d`, i)) {
			t.Errorf("%q, %v in place of number %d", payload, err, i)
			return
		}
	}
}

// A frame that is larger than a section comes in pieces, and one that waits for many goes once.
func TestHandoverOfLargeFrames(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.QueueMessages = 1 << 20; c.QueueBytes = 1 << 30 })
	clients := []*raw{r.upgrade("alice"), r.upgrade("alice"), r.upgrade("alice")}
	payload := strings.Repeat("y", 3*sectionSize+17)
	eventually(t, "all are stalled", func() bool {
		r.deliver("alice", `{"type":"n","payload":"`+payload+`"}`)
		return r.server.Stats().Stalled == len(clients)
	})
	m, serve := r.begin(nil)
	taken := m.freeze()
	frames := 0
	for _, section := range m.kept {
		if section[0] == sectionFrames || section[0] == sectionFramePart {
			frames += len(section)
		}
	}
	if most := (taken.Notifications/len(clients) + 1) * (len(payload) + 200); frames > most {
		t.Errorf("%d bytes of frames were sent, %d are enough", frames, most)
	}
	m.out.Commit()
	serve()
	m.next.deliver("alice", `{"type":"last","payload":0}`)
	for _, c := range clients {
		for {
			opcode, got := c.readLong(t)
			if strings.Contains(string(got), `"last"`) {
				break
			}
			if opcode == 0x89 { // a first ping comes at a random moment
				continue
			}
			if opcode != 0x81 || !strings.Contains(string(got), payload) {
				t.Fatalf("%#x, %d bytes", opcode, len(got))
			}
		}
	}
}

// readLong reads a frame of any length.
func (c *raw) readLong(t *testing.T) (opcode byte, payload []byte) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience)) // from now, as in Write
	var head [10]byte
	if _, err := io.ReadFull(c.r, head[:2]); err != nil {
		t.Fatal(err)
	}
	n := int(head[1])
	extra := map[int]int{126: 2, 127: 8}[n]
	if _, err := io.ReadFull(c.r, head[2:2+extra]); err != nil {
		t.Fatal(err)
	}
	if extra > 0 {
		n = 0
		for _, b := range head[2 : 2+extra] {
			n = n<<8 | int(b)
		}
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(c.r, payload); err != nil {
		t.Fatal(err)
	}
	return head[0], payload
}
