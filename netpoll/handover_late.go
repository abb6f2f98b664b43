package netpoll

import (
	"context"
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"roost/hub"
	"roost/internal/wirecodec"
	"roost/netpoll/internal/iplimit"
	"roost/netpoll/internal/sendqueue"
	"roost/netpoll/internal/tlsrecord"
	"roost/wsproto/handshake"
)

// lateHandshakes are pending handshakes that could not go along with the connections, and can now. Any goroutine.
type lateHandshakes struct {
	mu   sync.Mutex
	list []lateHandshake // guarded by mu
	open bool            // guarded by mu: Late sends them
	wake chan struct{}   // static; gets a value when there is one
}

// lateHandshake is the descriptor of one, and what to send with it.
type lateHandshake struct {
	fd      int
	section []byte
}

func (h *lateHandshakes) add(one lateHandshake) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, one)
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *lateHandshakes) take() []lateHandshake {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.list
	h.list = nil
	return list
}

func (h *lateHandshakes) setOpen(open bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open = open
}

func (h *lateHandshakes) isOpen() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open
}

// lateEvery is how often Late looks whether handshakes are left.
const lateEvery = 10 * time.Millisecond

// Late sends handshakes that were under way at Commit as they become complete. It returns how many went when none is left, or ctx ends, or
// sending fails. Those that become complete later are refused.
func (h *HandingOver) Late(ctx context.Context, send Send) (sent int, err error) {
	late := &h.s.late
	defer func() {
		late.setOpen(false)
		for _, one := range late.take() {
			_ = unix.Close(one.fd)
		}
	}()
	ticker := time.NewTicker(lateEvery)
	defer ticker.Stop()
	for {
		left := h.s.pendingHandshakes() // looked at before the list: one that is in neither has gone
		for _, one := range late.take() {
			if err == nil {
				err = send(one.section, []int{one.fd})
				sent++
			}
			clear(one.section)
			_ = unix.Close(one.fd)
		}
		if err != nil || left == 0 {
			return sent, err
		}
		select {
		case <-late.wake:
		case <-ticker.C:
		case <-ctx.Done():
			return sent, ctx.Err()
		}
	}
}

// pendingHandshakes counts the sockets that are not admitted. Any goroutine.
func (s *Server) pendingHandshakes() (n int64) {
	for _, l := range s.loops {
		n += l.stats.Pending.Load()
	}
	return n
}

// handOverLate gives a handshake to the process that has the connections, and reports whether it did. raw came behind the TLS handshake; req,
// whose token was accepted, is nil while the request has not come.
func (h *pendingHandshake) handOverLate(raw []byte, req *handshake.Request, early []byte) bool {
	c, s := h.conn, h.conn.loop.server
	if !s.handedOver.Load() || s.heavies.Get(c.fd) != nil || !s.late.isOpen() {
		return false
	}
	section := wirecodec.AppendUint([]byte{sectionLate}, handoverVersion)
	section = h.appendMoved(section, raw, req, early)
	fd := int(c.fd)
	c.loop.poll.remove(fd)
	c.forget()
	s.late.add(lateHandshake{fd, section})
	s.socketClosed()
	return true
}

// appendState appends a pending handshake of which handshakeGoes is true.
func (h *pendingHandshake) appendState(dst []byte) []byte {
	if h.conn.state == stateSubscribing {
		return h.appendMoved(dst, nil, &h.held.req, h.held.early)
	}
	return h.appendMoved(dst, nil, nil, nil)
}

// appendMoved appends a pending handshake: its state, and then either the beginning of its request, or the request and the bytes behind it.
func (h *pendingHandshake) appendMoved(dst, raw []byte, req *handshake.Request, early []byte) []byte {
	c, s := h.conn, h.conn.loop.server
	record := s.records.Get(c.fd)
	dst = appendAddress(dst, h.peer)
	dst = appendAddress(dst, h.client)
	dst = wirecodec.AppendUint(dst, uint64(c.lastRead))
	dst = wirecodec.AppendUint(dst, uint64(c.written))
	dst = wirecodec.AppendBool(dst, c.state == stateTLS && record == nil)
	dst = wirecodec.AppendBool(dst, record != nil)
	if record != nil {
		dst = appendRecord(dst, record)
		dst = wirecodec.AppendUint(dst, uint64(len(c.extra.record)+len(raw)))
		dst = append(append(dst, c.extra.record...), raw...)
	}
	dst = wirecodec.AppendBool(dst, c.out != nil)
	if c.out != nil { // the end of the TLS handshake
		dst = c.out.AppendState(dst, func(*hub.Notification) uint64 { return 0 })
	}
	dst = wirecodec.AppendBool(dst, req != nil)
	if req == nil {
		return wirecodec.AppendBytes(dst, h.head)
	}
	return wirecodec.AppendBytes(req.AppendState(dst), early)
}

// movedHandshake is what appendMoved wrote.
type movedHandshake struct {
	peer, client netip.AddrPort
	accepted     instant
	written      uint32
	tls          bool            // its TLS handshake has not begun
	record       *tlsrecord.Conn // nil without TLS
	raw          []byte          // sealed, behind what was opened
	out          *sendqueue.Queue
	req          *handshake.Request // nil: bytes has its beginning
	bytes        []byte             // the beginning of the request, or the bytes behind it
}

// maxMovedRaw bounds the bytes that may have come behind a TLS handshake, or of a head.
const maxMovedRaw = 64 << 10

func readMoved(r *wirecodec.Reader) (m movedHandshake) {
	m.peer, m.client = readAddress(r), readAddress(r)
	m.accepted = instant(r.Uint(math.MaxUint32))
	m.written = uint32(r.Uint(math.MaxUint32))
	m.tls = r.Bool()
	if r.Bool() {
		m.record = readRecord(r)
		m.raw = append(m.raw, r.Bytes(maxMovedRaw)...)
	}
	if r.Bool() {
		m.out = new(sendqueue.Queue)
		m.out.ReadState(r, func(uint64) *hub.Notification { return nil })
	}
	if r.Bool() {
		m.req = new(handshake.Request)
		m.req.ReadState(r)
	}
	m.bytes = append(m.bytes, r.Bytes(maxMovedRaw)...)
	return m
}

// takeOver goes on with a handshake that another process has begun, on the loop. Its descriptor is in the loop's epoll.
// goOn handles the bytes that have come, and may end it.
func (m *movedHandshake) takeOver(l *loop, fd int32) (goOn func()) {
	s := l.server
	c := &conn{loop: l, fd: fd, lastRead: m.accepted, written: m.written}
	if m.tls {
		c.state = stateTLS
	}
	s.socketOpened()
	s.conns.Set(fd, c)
	l.stats.sockets.Add(1)
	c.extra = l.extras.get()
	h := l.newHandshake(c, m.peer)
	c.extra.hs = h
	h.client, h.source = m.client, iplimit.SourceOf(m.client.Addr())
	h.setWeight(unknownWeight)
	if m.record != nil {
		s.records.Set(fd, m.record)
		l.stats.TLS13.Add(1)
	}
	c.setTimer(s.now() + max(0, s.cfg.HandshakeTimeout-c.lastRead.ago(s.now())))
	if m.out != nil && !m.out.Empty() {
		c.getQueue()
		c.out.AppendSealed(m.out.Sealed(), 0)
		c.watchQueue()
	}
	raw, bytes, req := m.raw, m.bytes, m.req
	return func() {
		defer c.guard()
		switch {
		case c.state == stateClosed:
			return
		case req != nil:
			h.authenticated(*req, nil, bytes)
		case len(bytes) > 0:
			c.received(bytes)
		}
		if len(raw) > 0 && c.state != stateClosed {
			c.receivedRaw(raw)
		}
	}
}

// TakeLate goes on, once this process serves, with a handshake of the other process that became complete after its connections had gone. It
// owns the descriptor. Any goroutine.
func (s *Server) TakeLate(section []byte, fds []int) error {
	m, err := readLate(section, fds)
	if err == nil && m.record != nil && s.cfg.TLS == nil {
		err = errNoTLS
	}
	if err != nil {
		closeAllFDs(fds)
		return err
	}
	fd, l := fds[0], s.plain.leastLoaded()
	l.do(func() {
		if err := l.poll.add(fd, int32(fd)); err != nil {
			s.socketOpened()
			s.closeUnanswered(fd, unansweredWatch, err)
			return
		}
		m.takeOver(l, int32(fd))()
	})
	return nil
}

func readLate(section []byte, fds []int) (m movedHandshake, err error) {
	if len(section) == 0 || section[0] != sectionLate || len(fds) != 1 {
		return m, errSection
	}
	r := wirecodec.NewReader(section[1:])
	if version := r.Uint(math.MaxUint32); r.Err() == nil && version != handoverVersion {
		return m, errVersion
	}
	m = readMoved(r)
	return m, r.Done()
}

func closeAllFDs(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// appendAddress appends an address and port; none is nothing.
func appendAddress(dst []byte, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return wirecodec.AppendBytes(dst, nil)
	}
	b, _ := a.MarshalBinary() // never fails
	return wirecodec.AppendBytes(dst, b)
}

// maxAddress is the length of an IPv6 address, its zone and a port.
const maxAddress = 16 + 64 + 2

func readAddress(r *wirecodec.Reader) (a netip.AddrPort) {
	if b := r.Bytes(maxAddress); len(b) > 0 {
		if err := a.UnmarshalBinary(b); err != nil {
			_ = r.Fail(err)
		}
	}
	return a
}

// readRecord reads what appendRecord wrote.
func readRecord(r *wirecodec.Reader) *tlsrecord.Conn {
	state := r.Bytes(256)
	if r.Err() != nil {
		return nil
	}
	record, err := tlsrecord.FromState(state)
	if err != nil {
		_ = r.Fail(err)
	}
	return record
}
