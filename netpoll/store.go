package netpoll

// keptParts bounds what a loop has in store of each kind: after a storm the memory
// must go.
const keptParts = 256

// getPart takes a part from the loop's store.
func (l *loop) getPart() *part {
	last := len(l.parts) - 1
	if last < 0 {
		return new(part)
	}
	p := l.parts[last]
	l.parts = l.parts[:last]
	return p
}

// putPart puts c's part, where it has one, back. Nothing of it is in use any more.
func (l *loop) putPart(c *conn) {
	if c.part == nil {
		return
	}
	if len(l.parts) < keptParts {
		*c.part = part{}
		l.parts = append(l.parts, c.part)
	}
	c.part = nil
}

// getHandshake takes a handshake from the loop's store.
func (l *loop) getHandshake() *handshake {
	last := len(l.handshakeStore) - 1
	if last < 0 {
		return new(handshake)
	}
	h := l.handshakeStore[last]
	l.handshakeStore = l.handshakeStore[:last]
	return h
}

// putHandshake puts one back that no list has any more.
func (l *loop) putHandshake(h *handshake) {
	if len(l.handshakeStore) < keptParts {
		*h = handshake{}
		l.handshakeStore = append(l.handshakeStore, h)
	}
}

// connList is a list of connections that end, the one that began first before the
// others. It belongs to its loop.
type connList struct {
	first, last *conn
	n           int
}

func (l *connList) append(c *conn) {
	c.part.prev = l.last
	if l.last == nil {
		l.first = c
	} else {
		l.last.part.next = c
	}
	l.last = c
	l.n++
}

func (l *connList) remove(c *conn) {
	p := c.part
	if p.prev == nil {
		l.first = p.next
	} else {
		p.prev.part.next = p.next
	}
	if p.next == nil {
		l.last = p.prev
	} else {
		p.next.part.prev = p.prev
	}
	p.next, p.prev = nil, nil
	l.n--
}
