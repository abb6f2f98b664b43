package netpoll

import (
	"time"

	"roost/hub"
	"roost/internal/wirecodec"
	"roost/netpoll/internal/tlsrecord"
)

// Export sends the state of all connections that go along, after Freeze. It changes nothing.
func (h *HandingOver) Export(send Send) error {
	s := h.s
	if h.goOn == nil || h.ended {
		return errOrder
	}
	for _, l := range s.loops {
		if waiting, _ := l.mail.Depth(); waiting > 0 {
			return errDelivered
		}
	}
	at, err := s.clocks()
	if err != nil {
		return err
	}
	e := &exporter{h: h, at: at, send: send, numbers: make(map[*byte]uint64), gaps: s.gapRounds()}
	e.sendNow(wirecodec.AppendInt([]byte{sectionFrozen}, int64(at.at)))
	s.cfg.Hub.Members(e.member)
	e.flush()
	for _, l := range s.loops {
		l.wheel.Each(e.notMember)
	}
	e.flush()
	for _, l := range s.loops {
		e.sendUnwanted(l)
	}
	end := []byte{sectionEnd}
	for _, n := range [...]int{e.sum.Connections, e.sum.Handshakes, e.sum.Notifications} {
		end = wirecodec.AppendUint(end, uint64(n))
	}
	e.sendNow(end)
	h.sum = e.sum
	return e.err
}

// gapRounds are the gaps that connections are being told of, a few at a time.
func (s *Server) gapRounds() map[*conn]time.Time {
	gaps := make(map[*conn]time.Time)
	for _, l := range s.loops {
		for _, c := range l.gapRound.left {
			gaps[c] = l.gapRound.since
		}
		if again := l.gapRound.again; !again.IsZero() {
			l.wheel.Each(func(c *conn) {
				if since, ok := gaps[c]; !ok || again.Before(since) {
					gaps[c] = again
				}
			})
		}
	}
	return gaps
}

// exporter writes down the connections of a frozen server.
type exporter struct {
	h    *HandingOver
	at   clocks
	send Send
	err  error // the first one of send
	sum  Handed
	gaps map[*conn]time.Time

	numbers map[*byte]uint64 // of frames, by their first byte: several notifications may share one
	frames  []byte           // a section of them, as the next; sent before what refers to it
	states  []byte
	kind    byte // of states
}

// sendNow sends a section, unless sending has failed before, and overwrites it: there are keys in it.
func (e *exporter) sendNow(section []byte) {
	if e.err == nil {
		e.err = e.send(section, nil)
	}
	clear(section)
}

// flush sends the gathered states.
func (e *exporter) flush() {
	if len(e.frames) > 0 {
		e.sendNow(e.frames)
	}
	if len(e.states) > 0 {
		e.sendNow(e.states)
	}
	e.frames, e.states = e.frames[:0], e.states[:0]
}

// begin begins the next state in a section of a kind.
func (e *exporter) begin(kind byte) {
	if len(e.states) >= sectionSize || len(e.states) > 0 && e.kind != kind {
		e.flush()
	}
	if len(e.states) == 0 {
		e.states, e.kind = append(e.states, kind), kind
	}
}

// member exports a connection that the hub has.
func (e *exporter) member(member hub.Conn, state []byte) {
	c, ok := member.(*conn)
	if !ok || c.loop.server != e.h.s || e.err != nil {
		return
	}
	m := c.loop.marks
	number, ok := m.numbers[c]
	if !ok {
		return
	}
	if c.out != nil {
		c.out.Each(e.addFrame)
		e.sum.Notifications += c.out.Len()
	}
	e.begin(sectionConns)
	e.states = c.appendConn(e.states, number, state, e.gaps[c], e.number)
	delete(m.numbers, c)
	m.going = append(m.going, c)
	e.sum.Connections++
}

// notMember exports a pending handshake, or counts a socket that stays.
func (e *exporter) notMember(c *conn) {
	m := c.loop.marks
	number, ok := m.numbers[c]
	switch {
	case e.err != nil:
	case ok && c.state != stateOpen:
		e.begin(sectionHandshakes)
		e.states = c.extra.hs.appendState(wirecodec.AppendUint(e.states, uint64(number)))
		delete(m.numbers, c)
		m.going = append(m.going, c)
		e.sum.Handshakes++
	default:
		e.stays(c)
	}
}

// stays counts a socket that does not go along, if it is one.
func (e *exporter) stays(c *conn) {
	if e.sum.Stay == nil {
		e.sum.Stay = make(map[string]int)
	}
	_, unwanted := c.loop.marks.numbers[c]
	switch {
	case c.selfCheck:
		e.sum.Stay[staySelfCheck]++
	case c.state == stateOpen && c.loop.server.heavies.Get(c.fd) != nil:
		e.sum.Stay[stayTLS12]++
	case c.state >= stateClosing, unwanted: // the hub has removed it, and its loop is about to close it
		e.sum.Stay[stayEnding]++
	case c.state < stateOpen:
		e.sum.Stay[stayHandshake]++
	}
}

// sendUnwanted sends the numbers of descriptors whose connections do not go along after all.
func (e *exporter) sendUnwanted(l *loop) {
	if len(l.marks.numbers) == 0 {
		return
	}
	section := wirecodec.AppendUint([]byte{sectionDescriptors}, uint64(e.h.next))
	section = wirecodec.AppendUint(section, uint64(len(l.marks.numbers)))
	for _, number := range l.marks.numbers {
		section = wirecodec.AppendUint(section, uint64(number))
	}
	clear(l.marks.numbers)
	e.sendNow(section)
}

// number is the number of a notification's frame, which addFrame has given it.
func (e *exporter) number(n *hub.Notification) uint64 { return e.numbers[&n.Frame[0]] }

// addFrame gives a notification's frame a number and sends it, if it has none.
func (e *exporter) addFrame(n *hub.Notification) {
	if _, ok := e.numbers[&n.Frame[0]]; ok {
		return
	}
	e.numbers[&n.Frame[0]] = uint64(len(e.numbers))
	if len(e.frames)+len(e.states) > 0 && len(e.frames)+len(n.Frame) > sectionSize {
		e.flush()
	}
	if len(e.frames) == 0 {
		e.frames = append(e.frames, sectionFrames)
	}
	piece := n.Frame[:min(len(n.Frame), sectionSize)]
	e.frames = wirecodec.AppendUint(e.frames, uint64(len(n.Frame)))
	e.frames = wirecodec.AppendUint(e.frames, uint64(max(0, e.at.hub-n.Arrived)))
	e.frames = wirecodec.AppendInt(e.frames, n.After)
	var until, collapse uint64 // milliseconds from now, and 1; 0: for ever
	if w := n.Waiting(); w != nil {
		if collapse = w.Collapse; w.Until != 0 {
			until = 1 + uint64(max(0, w.Until-e.at.hub)/time.Millisecond)
		}
	}
	e.frames = wirecodec.AppendUint(wirecodec.AppendUint(e.frames, until), collapse)
	e.frames = wirecodec.AppendBytes(e.frames, piece)
	for rest := n.Frame[len(piece):]; len(rest) > 0; rest = rest[len(piece):] {
		e.flush()
		piece = rest[:min(len(rest), sectionSize)]
		e.frames = append(append(e.frames, sectionFramePart), piece...)
		if len(piece) == len(rest) {
			e.flush()
		}
	}
}

// appendRecord appends the record layer of a connection. See the top of handover.go for why its nonces stay unique.
func appendRecord(dst []byte, record *tlsrecord.Conn) []byte {
	state := record.AppendState(make([]byte, 0, 128))
	dst = wirecodec.AppendBytes(dst, state)
	clear(state)
	return dst
}

// handshakeGoes reports whether a pending handshake can go along: its request is not complete, or waits for a subscription. TLS handshakes under
// way have to be done first, and tokens have to be checked.
func (c *conn) handshakeGoes() bool {
	if c.extra == nil || c.extra.hs == nil || c.selfCheck || c.loop.server.heavies.Get(c.fd) != nil {
		return false
	}
	switch c.state {
	case stateTLS:
		return c.extra.hs.tls == nil
	case stateRequest, stateSubscribing:
		return true
	}
	return false
}
