package netpoll

import (
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"roost/hub"
	"roost/internal/names"
	"roost/internal/wirecodec"
	"roost/netpoll/internal/iplimit"
	"roost/netpoll/internal/tlsrecord"
	"roost/wsproto"
	"roost/wsproto/auth"
	"roost/wsproto/handshake"
)

// TakingOver is a handover, seen from the process that gets the connections. One goroutine at a time calls its methods, before Serve.
type TakingOver struct {
	s      *Server
	fds    []takenFD     // by their numbers
	live   int           // of fds
	begun  bool          // sectionBegin has come
	frozen bool          // sectionFrozen has come
	ended  bool          // sectionEnd has come
	at     time.Duration // the time of sectionFrozen, by this process's hub

	frames  []*hub.Notification
	missing int // bytes that are still to come of the last frame
	conns   []*conn
	sum     TakenOver
}

// takenFD is a descriptor of the other process.
type takenFD struct {
	fd      int32 // -1: not wanted any more
	claimed bool  // a connection has it
	loop    *loop // whose epoll it is in
}

// TakenOver is what a process has taken over.
type TakenOver struct {
	Connections   int            // those that are refused included
	Handshakes    int            // pending ones
	Notifications int            // notification × connection that wait to be written
	Refused       map[string]int // connections that a lower limit of this process refuses, by the reason; they are told once the loops run
}

// BeginTakeover begins to take over connections. The server has to be made with Config.HoldLoops, and Serve has not been called.
func (s *Server) BeginTakeover() (*TakingOver, error) {
	if !s.cfg.HoldLoops {
		return nil, errors.New("netpoll: only a server whose loops are held back takes connections over")
	}
	s.shared.Store(true)
	return &TakingOver{s: s, sum: TakenOver{Refused: make(map[string]int)}}, nil
}

// Take takes the next section of HandingOver, and its descriptors, which it owns from then on. It keeps nothing of the section. After an error
// only Abort may follow.
func (t *TakingOver) Take(section []byte, fds []int) error {
	if len(section) == 0 || section[0] != sectionBegin && !t.begun || section[0] != sectionDescriptors && len(fds) > 0 || t.ended {
		closeAllFDs(fds)
		return errSection
	}
	kind, r := section[0], wirecodec.NewReader(section[1:])
	if (kind >= sectionFrames && !t.frozen) || (t.missing > 0 && kind != sectionFramePart) {
		return errSection
	}
	var err error
	switch kind {
	case sectionBegin:
		t.begun = true
		err = t.s.readBegin(r)
	case sectionDescriptors:
		err = t.takeDescriptors(r, fds)
	case sectionFrozen:
		t.frozen = true
		at := time.Duration(r.Int(math.MinInt64, math.MaxInt64))
		t.at, err = t.s.frozenAt(at)
	case sectionFrames:
		t.takeFrames(r)
	case sectionFramePart:
		t.takeFramePart(section[1:])
		return nil
	case sectionConns:
		for r.Len() > 0 && err == nil {
			err = t.takeConn(r)
		}
	case sectionHandshakes:
		for r.Len() > 0 && err == nil {
			err = t.takeHandshake(r)
		}
	case sectionEnd:
		t.ended = true
		err = t.takeEnd(r)
	default:
		err = errSection
	}
	if err == nil {
		err = r.Done()
	}
	if err != nil {
		return fmt.Errorf("netpoll: a section of kind %d: %w", kind, err)
	}
	return nil
}

// takeDescriptors puts descriptors into the epolls of the loops, which do not run, and closes those that are not wanted any more.
func (t *TakingOver) takeDescriptors(r *wirecodec.Reader, fds []int) error {
	first := r.Uint(math.MaxUint32)
	if r.Err() != nil || int(first) != len(t.fds) {
		closeAllFDs(fds)
		return errNumber
	}
	for range r.Count(1) {
		number := r.Uint(math.MaxUint32)
		if number >= first || t.fds[number].fd < 0 || t.fds[number].claimed {
			closeAllFDs(fds)
			return errNumber
		}
		t.drop(&t.fds[number])
	}
	if most := t.s.rules.Load().MaxSockets; most > 0 && t.live+len(fds) > most {
		closeAllFDs(fds)
		return fmt.Errorf("%w: there is room for %d", errRoom, most)
	}
	for i, fd := range fds {
		l := t.s.loops[len(t.fds)%len(t.s.loops)]
		if err := l.poll.add(fd, int32(fd)); err != nil {
			closeAllFDs(fds[i:])
			return err
		}
		t.fds = append(t.fds, takenFD{fd: int32(fd), loop: l})
		t.live++
	}
	return nil
}

// drop closes a descriptor. The other process may still have the socket: it is not shut down.
func (t *TakingOver) drop(a *takenFD) {
	a.loop.poll.remove(int(a.fd))
	_ = unix.Close(int(a.fd))
	a.fd = -1
	t.live--
}

// maxWaitMillis bounds for how long a notification may wait: that of a year, and more.
const maxWaitMillis = 1 << 36

// takeFrames makes the notifications of the send queues.
func (t *TakingOver) takeFrames(r *wirecodec.Reader) {
	for r.Len() > 0 && t.missing == 0 {
		size := int(r.Uint(maxWaitingFrame))
		age := time.Duration(r.Uint(math.MaxInt64))
		after := r.Int(math.MinInt64, math.MaxInt64)
		until, collapse := r.Uint(maxWaitMillis), r.Uint(math.MaxUint64)
		piece := r.Bytes(maxSection)
		if r.Err() == nil && (size == 0 || len(piece) > size) {
			_ = r.Fail(errUnframed)
		}
		n := &hub.Notification{Frame: append(make([]byte, 0, min(size, 2*maxSection)), piece...), Arrived: t.at - age, After: after}
		if until != 0 || collapse != 0 {
			w := &hub.Waiting{Collapse: collapse}
			if until != 0 {
				w.Until = max(1, t.at+time.Duration(until-1)*time.Millisecond)
			}
			n.SetWaiting(w)
		}
		t.frames = append(t.frames, n)
		t.missing = size - len(piece)
	}
}

// takeFramePart appends a piece of the last frame.
func (t *TakingOver) takeFramePart(piece []byte) {
	last := t.frames[len(t.frames)-1]
	piece = piece[:min(len(piece), t.missing)]
	last.Frame = append(last.Frame, piece...)
	t.missing -= len(piece)
}

func (t *TakingOver) notification(number uint64) *hub.Notification {
	if number >= uint64(len(t.frames)) {
		return nil
	}
	return t.frames[number]
}

// claim returns the descriptor of a number for a connection.
func (t *TakingOver) claim(r *wirecodec.Reader) (*takenFD, error) {
	number := r.Uint(math.MaxUint32)
	if r.Err() != nil || number >= uint64(len(t.fds)) || t.fds[number].fd < 0 || t.fds[number].claimed {
		return nil, errNumber
	}
	return &t.fds[number], nil
}

// movedConn is the state of an open connection that refers to other parts of the server, until it is read completely.
type movedConn struct {
	user    string
	state   []byte // for the hub
	opened  time.Duration
	counted bool // among those of its address, source
	source  iplimit.Source
	record  *tlsrecord.Conn
	partial []byte // of a record
	whole   time.Duration
	limited bool
	gap     int64
	token   []byte // that was being checked; nil: none was
	renewed time.Duration
	renews  bool
}

// takeConn makes an open connection and registers it. Its socket is not touched.
func (t *TakingOver) takeConn(r *wirecodec.Reader) error {
	a, err := t.claim(r)
	if err != nil {
		return err
	}
	l, s := a.loop, t.s
	c := &conn{loop: l, fd: a.fd, state: stateOpen}
	m := t.readConn(c, r)
	switch {
	case r.Err() != nil:
		return r.Err()
	case m.record != nil && s.cfg.TLS == nil:
		return errNoTLS
	}
	a.claimed = true
	t.conns = append(t.conns, c)
	s.socketOpened()
	s.conns.Set(c.fd, c)
	s.conns.SetOpened(c.fd, m.opened)
	l.stats.sockets.Add(1)
	l.stats.TakenOver.Add(1)
	t.sum.Connections++
	if c.stream {
		l.stats.EventStreams.Add(1)
	}
	if m.record != nil {
		s.records.Set(c.fd, m.record)
		l.stats.TLS13.Add(1)
	}
	if c.extra != nil {
		if len(m.partial) > 0 {
			c.extra.record = append([]byte(nil), m.partial...)
		}
		c.countHeld()
	}
	if rules := s.rules.Load(); m.limited && rules.MessageRate > 0 {
		l.inbound.Restore(c, m.whole, rules.MessageRate, rules.MessageBurst)
	}
	if m.renews {
		l.renewed.Restore(c, m.renewed, renewalRate, renewalBurst)
	}
	if m.token != nil {
		l.first = append(l.first, func() {
			defer c.guard()
			if c.state == stateOpen {
				c.renew(m.token, true) // the time that the other process had for it does not count
			}
		})
	}
	if !s.cfg.CloseOnExpiry {
		c.expires = 0
	}
	if c.out != nil {
		n := c.out.Len()
		l.stats.takenOver.Add(uint64(n))
		t.sum.Notifications += n
		l.sent.TookOver()
		c.watchQueue()
	}
	if m.gap != 0 && s.cfg.GapNotice {
		l.gapRound.takeOver(c, time.UnixMilli(m.gap))
	}
	return t.register(c, &m)
}

// maxAnswer bounds, in bytes, the answer to a token.
const maxAnswer = 1 << 10

var errAnswer = errors.New("an answer that waits nowhere")

// readConn reads the state of an open connection.
func (t *TakingOver) readConn(c *conn, r *wirecodec.Reader) (m movedConn) {
	flags := r.Uint(flagsOpen)
	c.stream = flags&flagStream != 0
	m.user = r.String(names.MaxUser)
	m.state = r.Bytes(maxSection)
	c.lastRead, c.lastPing = instant(r.Uint(math.MaxUint32)), instant(r.Uint(math.MaxUint32))
	m.opened = time.Duration(r.Uint(math.MaxUint32)) * time.Second
	c.written = uint32(r.Uint(math.MaxUint32))
	if flags&flagExpires != 0 {
		c.expires = expiry(r.Uint(math.MaxUint32))
	}
	if flags&flagCounted != 0 {
		m.counted, m.source = true, iplimit.Source(r.Uint(math.MaxUint64))
	}
	if flags&flagTLS != 0 {
		m.record = readRecord(r)
	}
	if flags&flagQueue != 0 {
		c.getQueue()
		c.out.ReadState(r, t.notification)
		c.out.gapState.readState(r)
	}
	if flags&flagExtra != 0 {
		c.extra = c.loop.extras.get()
		m.partial = c.extra.readState(r)
	}
	if flags&flagInbound != 0 {
		m.limited, m.whole = true, time.Duration(r.Uint(math.MaxInt64))
	}
	if flags&flagGap != 0 {
		m.gap = int64(r.Uint(math.MaxInt64))
	}
	if flags&flagAnswer != 0 {
		if c.out == nil {
			_ = r.Fail(errAnswer)
			return m
		}
		c.out.Answer = append([]byte(nil), r.Bytes(maxAnswer)...)
	}
	if flags&flagRenewal != 0 {
		m.token = append([]byte{}, r.Bytes(auth.MaxToken)...)
	}
	if flags&flagRenewed != 0 {
		m.renews, m.renewed = true, time.Duration(r.Uint(math.MaxInt64))
	}
	return m
}

// register subscribes the user and registers the connection, or sees to it that it is closed once the loop runs.
func (t *TakingOver) register(c *conn, m *movedConn) error {
	l, s := c.loop, t.s
	if s.cfg.Subscriptions != nil {
		s.cfg.Subscriptions.Acquire(m.user, c) // if that is not done yet, the client is told of a gap then
	}
	err := s.cfg.Hub.Join(c, m.user, m.state)
	var refusal *handshake.Refusal
	switch limit := s.rules.Load().MaxPerIP; {
	case errors.Is(err, hub.ErrFull), errors.Is(err, hub.ErrUserFull):
		refusal = refusalOf(err, s)
	case err != nil:
		return err
	case m.counted && limit > 0:
		var ok bool
		if c.ipSlot, ok = s.perIP.Acquire(m.source, limit); !ok {
			refusal = refusalOf(errIPFull, s)
		}
	}
	c.resetTimer(s.now())
	if refusal == nil {
		return nil
	}
	t.sum.Refused[refusal.Reason.String()]++
	frame := wsproto.AppendClose(nil, handshake.RejectionCode(refusal.Status), refusal.Text())
	l.first = append(l.first, func() {
		defer c.guard()
		c.closeWith(ReasonRestart, frame)
	})
	return nil
}

// watchQueue has a connection's send queue counted, and written when the kernel takes more.
func (c *conn) watchQueue() {
	l := c.loop
	q := c.out
	q.CountIn(&l.server.queues)
	l.rank(q)
	if !c.stalled() {
		q.Progress.Stall(l.server.now(), unackedBytes(c.fd))
	}
	q.watched = true
	l.stats.stalled.Add(1)
	_ = l.poll.watchWriting(c.fd, true) // it was put there a moment ago
}

// takeHandshake goes on with a pending handshake. Its bytes are looked at once the loop runs.
func (t *TakingOver) takeHandshake(r *wirecodec.Reader) error {
	a, err := t.claim(r)
	if err != nil {
		return err
	}
	m := readMoved(r)
	switch {
	case r.Err() != nil:
		return r.Err()
	case (m.record != nil || m.tls) && t.s.cfg.TLS == nil:
		return errNoTLS
	}
	a.claimed = true
	t.sum.Handshakes++
	a.loop.first = append(a.loop.first, m.takeOver(a.loop, a.fd))
	t.conns = append(t.conns, t.s.conns.Get(a.fd))
	return nil
}

// takeEnd compares the numbers that came, of connections, handshakes and notifications, with those that were sent.
func (t *TakingOver) takeEnd(r *wirecodec.Reader) error {
	for _, n := range [...]int{t.sum.Connections, t.sum.Handshakes, t.sum.Notifications} {
		if sent := r.Uint(math.MaxUint32); r.Err() == nil && int(sent) != n {
			return fmt.Errorf("%d came of %d", n, sent)
		}
	}
	if t.live != len(t.conns) {
		return fmt.Errorf("%w: %d descriptors without a connection", errNumber, t.live-len(t.conns))
	}
	return nil
}

// Finish reports whether everything has come. From the call of Serve on, which may follow, the connections are this process's.
func (t *TakingOver) Finish() (TakenOver, error) {
	if !t.ended {
		return t.sum, errSection
	}
	return t.sum, nil
}

// Abort closes all descriptors. The connections stay the other process's. The server is of no more use.
func (t *TakingOver) Abort() {
	for _, c := range t.conns {
		if c.state == stateOpen {
			t.s.cfg.Hub.Remove(c)
		}
		c.forget()
		t.s.socketClosed()
	}
	for i := range t.fds {
		if t.fds[i].fd >= 0 {
			t.drop(&t.fds[i])
		}
	}
	t.conns = nil
	for _, l := range t.s.loops {
		l.first, l.gapRound = nil, gapRound{}
	}
}
