package netpoll

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"roost/internal/wirecodec"
	"roost/wsproto"
)

// HandingOver is a handover, seen from the process that has the connections. One goroutine at a time calls its methods, in this order:
// PreCopy, Freeze, Export, Commit, Late; or Abort before Commit.
type HandingOver struct {
	s     *Server
	next  uint32        // the number of the next descriptor
	goOn  chan struct{} // closed to let the frozen loops go on; nil while they are not frozen
	ended bool          // Abort or Commit was called
	sum   Handed
}

// Handed is what a handover did.
type Handed struct {
	Connections   int            // open connections that the other process has
	Handshakes    int            // pending ones that it has
	Notifications int            // notification × connection that it has to write
	Stay          map[string]int // sockets that did not go along, by reason
}

// Why sockets do not go along.
const (
	stayTLS12     = "tls12"     // crypto/tls has its keys
	stayEnding    = "ending"    // it is closing or lingering, or its user has replaced it
	stayHandshake = "handshake" // its TLS handshake is under way, or its token is being checked; it follows when that is done
	staySelfCheck = "self_check"
)

// handoverMarks are a loop's notes while its connections are handed over. Guarded by the loop's lock.
type handoverMarks struct {
	numbers map[*conn]uint32 // of the descriptors that were duplicated
	fresh   []*conn          // open, and not duplicated
	gone    []uint32         // numbers of connections that have ended, or begun to
	going   []*conn          // those whose state was exported
	commit  bool             // they are the other process's
}

var (
	errHandover  = errors.New("netpoll: connections are being handed over already")
	errOrder     = errors.New("netpoll: the steps of a handover come in another order")
	errDelivered = errors.New("netpoll: something is delivered while the connections are handed over")
)

// BeginHandover begins to hand the connections over. It fails while another handover is under way, and once Shutdown has begun.
func (s *Server) BeginHandover() (*HandingOver, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.handing:
		return nil, errHandover
	}
	s.handing = true
	return &HandingOver{s: s}, nil
}

// onLoop runs fn on a loop that is not frozen, and waits for it. After an error it has not run, and never will.
func (h *HandingOver) onLoop(ctx context.Context, l *loop, fn func()) (err error) {
	var taken atomic.Bool
	done := make(chan struct{})
	l.do(func() {
		if !taken.Swap(true) {
			defer close(done)
			fn()
		}
	})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		err = fmt.Errorf("%w: loop %d: %w", ErrLoopStuck, l.index, ctx.Err())
	case <-h.s.done:
		err = ErrClosed
	}
	if taken.Swap(true) {
		<-done
		return nil
	}
	return err
}

// handsOver reports whether an open connection can go along.
func (c *conn) handsOver() bool {
	return c.state == stateOpen && !c.selfCheck && c.loop.server.heavies.Get(c.fd) == nil
}

// noteOpened notes a connection that has become open.
func (l *loop) noteOpened(c *conn) {
	if l.marks != nil && c.handsOver() {
		l.marks.fresh = append(l.marks.fresh, c)
	}
}

// noteEnded notes a connection that was open and ends.
func (l *loop) noteEnded(c *conn) {
	if l.marks == nil {
		return
	}
	if number, ok := l.marks.numbers[c]; ok {
		delete(l.marks.numbers, c)
		l.marks.gone = append(l.marks.gone, number)
	}
}

// PreCopy sends duplicates of the descriptors of all open connections, while they are served, and returns when nearly all are sent. It
// uses up to descriptorBatch free descriptors at a time, and fewer where there are not so many; one is needed.
func (h *HandingOver) PreCopy(ctx context.Context, send Send) error {
	begin, err := h.s.appendBegin(nil)
	if err != nil {
		return err
	}
	if err := send(begin, nil); err != nil {
		return err
	}
	h.s.shared.Store(true)
	for _, l := range h.s.loops {
		n := int(l.stats.sockets.Load())
		marks := &handoverMarks{numbers: make(map[*conn]uint32, n), fresh: make([]*conn, 0, n)} // the loop need not wait for so much memory
		err := h.onLoop(ctx, l, func() {
			l.marks = marks
			l.wheel.Each(l.noteOpened)
		})
		if err != nil {
			return err
		}
	}
	for _, l := range h.s.loops {
		for {
			var batch descriptorSection
			left := 0
			if err := h.onLoop(ctx, l, func() { batch = h.duplicate(l); left = l.marks.left() }); err != nil {
				return err
			}
			if err := batch.send(send); err != nil {
				return err
			}
			if left < descriptorBatch {
				break
			}
		}
	}
	return nil
}

// left returns how many differences are not sent.
func (m *handoverMarks) left() int { return len(m.fresh) + len(m.gone) }

// descriptorSection is a section with descriptors: new ones, and numbers of those that have ended.
type descriptorSection struct {
	bytes []byte
	fds   []int // duplicates
	err   error
}

// duplicate takes the next differences of a loop, whose lock is held or which is frozen.
func (h *HandingOver) duplicate(l *loop) descriptorSection {
	m := l.marks
	gone := m.gone[:min(len(m.gone), sectionSize/8)]
	first := h.next
	d := descriptorSection{}
	for len(m.fresh) > 0 && len(d.fds) < descriptorBatch {
		c := m.fresh[len(m.fresh)-1]
		if c.handsOver() || c.handshakeGoes() {
			fd, err := unix.FcntlInt(uintptr(c.fd), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil && len(d.fds) > 0 && outOfDescriptors(err) {
				break // these are sent and closed first
			}
			if err != nil {
				d.err = fmt.Errorf("netpoll: duplicating a descriptor: %w", err)
				break
			}
			d.fds = append(d.fds, fd)
			m.numbers[c] = h.next
			h.next++
		}
		m.fresh[len(m.fresh)-1] = nil
		m.fresh = m.fresh[:len(m.fresh)-1]
	}
	d.bytes = wirecodec.AppendUint(append(d.bytes, sectionDescriptors), uint64(first))
	d.bytes = wirecodec.AppendUint(d.bytes, uint64(len(gone)))
	for _, number := range gone {
		d.bytes = wirecodec.AppendUint(d.bytes, uint64(number))
	}
	m.gone = m.gone[len(gone):]
	return d
}

// send sends the section and closes the duplicates.
func (d descriptorSection) send(send Send) error {
	defer func() {
		for _, fd := range d.fds {
			_ = unix.Close(fd)
		}
	}()
	if d.err != nil {
		return d.err
	}
	return send(d.bytes, d.fds)
}

// Freeze stops accepting, empties the mailboxes, and has the loops stand still. Then it sends what has changed since PreCopy. Nothing may be
// delivered any more: the feed and RunBroadcasts of the hub stand still before. When ctx ends first, Abort lets everything go on.
func (h *HandingOver) Freeze(ctx context.Context, send Send) error {
	s := h.s
	if h.goOn != nil || h.ended {
		return errOrder
	}
	if err := s.renewals.close(ctx); err != nil {
		return fmt.Errorf("netpoll: waiting for groups that change: %w", err)
	}
	h.goOn = make(chan struct{})
	s.still.Store(true)
	s.plain.hold()
	s.secure.hold()
	for _, l := range s.loops {
		frozen, goOn := make(chan struct{}), h.goOn
		l.do(func() {
			l.deliverAllMail()
			close(frozen)
			<-goOn // it holds its lock meanwhile
			l.thaw()
		})
		select {
		case <-frozen:
		case <-ctx.Done():
			return fmt.Errorf("%w: loop %d: %w", ErrLoopStuck, l.index, ctx.Err())
		case <-s.done:
			return ErrClosed
		}
	}
	for _, l := range s.loops {
		if l.marks == nil {
			return errOrder
		}
		l.wheel.Each(func(c *conn) {
			if c.handshakeGoes() {
				l.marks.fresh = append(l.marks.fresh, c)
			}
		})
		for l.marks.left() > 0 {
			if err := h.duplicate(l).send(send); err != nil {
				return err
			}
		}
	}
	return nil
}

// thaw lets a frozen loop go on. It forgets the connections that were handed over.
func (l *loop) thaw() {
	m := l.marks
	l.marks = nil
	if m == nil || !m.commit {
		return
	}
	frame := wsproto.AppendClose(nil, Restarting().Code, Restarting().Text)
	l.wheel.Each(func(c *conn) {
		defer c.guard()
		if c.state == stateOpen && l.server.heavies.Get(c.fd) != nil {
			c.closeWith(ReasonRestart, frame)
		}
	})
	for i, c := range m.going {
		if i%forgetBatch == forgetBatch-1 {
			time.Sleep(forgetPause)
		}
		c.handOver()
	}
}

// Forgetting a connection takes 3 µs, most of it in the kernel. The other process needs the processors more at that time, so a loop
// pauses for about as long after each batch.
const (
	forgetBatch = 256
	forgetPause = 500 * time.Microsecond
)

// Abort takes everything back: the connections are served as before. It may be called at any time before Commit, also after an error of
// another step.
func (h *HandingOver) Abort() {
	if h.ended {
		return
	}
	h.ended = true
	h.s.renewals.closed.Store(false)
	h.unfreeze()
	h.s.still.Store(false)
	for _, l := range h.s.loops {
		l.do(func() {
			l.marks = nil
			l.renewHeld()
		})
	}
	h.s.plain.unhold()
	h.s.secure.unhold()
	h.finish()
}

// unfreeze lets frozen loops go on.
func (h *HandingOver) unfreeze() {
	if h.goOn != nil {
		close(h.goOn)
	}
}

// finish allows another handover.
func (h *HandingOver) finish() {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	h.s.handing = false
}

// Commit forgets the connections that were exported: from its beginning on this process neither reads from them nor writes to
// them. The loops close their descriptors, a few at a time, which Commit does not wait for. The listeners are closed.
// Connections that could not go along because crypto/tls has their keys are told that the server restarts; handshakes that
// can't go along yet are for Late. The hub and Config.Subscriptions are not told: their state goes to the other process as
// well. Call Late and Shutdown afterwards.
func (h *HandingOver) Commit() Handed {
	s := h.s
	h.ended = true
	s.handedOver.Store(true)
	s.draining.Store(true) // no handshake is admitted here any more
	s.late.setOpen(true)
	for _, l := range s.loops {
		l.marks.commit = true
	}
	s.plain.close()
	s.secure.close()
	h.unfreeze()
	return h.sum
}

// handOver forgets a connection that is another process's by now, and closes its descriptor.
func (c *conn) handOver() {
	l, open := c.loop, c.state == stateOpen
	l.poll.remove(int(c.fd)) // closing is not enough while the other process has it
	l.stats.handedOver.Add(uint64(c.forget()))
	_ = unix.Close(int(c.fd))
	l.server.socketClosed()
	if open { // last: when all are counted, all are freed
		l.stats.HandedOver.Add(1)
	}
}

// forget frees all that a connection has and leaves its socket alone, as another process has it. It returns how many notifications waited. See
// cleanup for what every other end does.
func (c *conn) forget() (waiting int) {
	l, s := c.loop, c.loop.server
	switch {
	case c.state == stateOpen && c.stream:
		l.stats.EventStreams.Add(-1)
	case c.extra != nil && c.extra.hs != nil:
		c.extra.hs.end()
	}
	s.perIP.Release(c.ipSlot)
	c.ipSlot = 0
	c.putExtra()
	if c.out != nil {
		waiting = c.out.Abandon()
		if c.out.watched {
			c.out.watched = false
			l.stats.stalled.Add(-1)
		}
		c.putQueue()
	}
	c.state = stateClosed
	l.inbound.Forget(c)
	l.renewed.Forget(c)
	c.endRenewal()
	c.wipe()
	l.wheel.Disarm(c)
	s.conns.Set(c.fd, nil)
	l.stats.sockets.Add(-1)
	return waiting
}
