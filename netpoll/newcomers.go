package netpoll

// newcomers lists a loop's connections whose head is not complete, the oldest
// first: when there are too many sockets, the one that has had the longest to say
// what it wants makes room. So those who only ever connect get in each other's way,
// and not in that of who comes to talk. The zero value is empty.
//
// Those that have gone on or closed are taken out when they are the first.
type newcomers struct {
	list  []*conn
	first int
}

func (n *newcomers) add(c *conn) {
	n.trim()
	n.list = append(n.list, c)
}

// oldest returns the first that still is one, nil if none is.
func (n *newcomers) oldest() *conn {
	n.trim()
	if n.first == len(n.list) {
		return nil
	}
	return n.list[n.first]
}

// trim takes out what is done at the front, and gives memory back.
func (n *newcomers) trim() {
	for n.first < len(n.list) && n.list[n.first].state != stateOpening {
		n.list[n.first] = nil
		n.first++
	}
	switch left := len(n.list) - n.first; {
	case left == 0:
		n.list, n.first = n.list[:0], 0
		if cap(n.list) > keptNewcomers {
			n.list = nil
		}
	case n.first > keptNewcomers && n.first > left:
		n.list, n.first = append([]*conn(nil), n.list[n.first:]...), 0
	}
}

// keptNewcomers bounds the room, in connections, that is kept once it is empty.
const keptNewcomers = 64

// makeRoom closes a newcomer without an answer: the loop's own oldest, or, where
// it has none, that of another loop, soon. It reports whether there is one.
func (l *loop) makeRoom() bool {
	if l.crowdOut() {
		return true
	}
	for _, other := range l.server.loops {
		if other.stats.opening.Load() > 0 {
			other.do(func() { other.crowdOut() })
			return true
		}
	}
	return false
}

// crowdOut closes the loop's oldest newcomer, if there is one.
func (l *loop) crowdOut() bool {
	c := l.newcomers.oldest()
	if c == nil {
		return false
	}
	l.server.accepts.turnedAway[awayCrowdedOut].Add(1)
	l.drop(c, ReasonHandshake)
	return true
}

// ceaseOpening is called for a connection that is about to leave stateOpening,
// stateChecking or stateAwaiting, if it is in one of them.
func (l *loop) ceaseOpening(c *conn) {
	switch c.state {
	case stateOpening:
		l.stats.opening.Add(-1)
	case stateChecking:
		l.stats.checking.Add(-1)
		c.part.check.gone.Store(true)
	case stateAwaiting:
		if c.part.awaits.counted {
			l.stats.awaiting.Add(-1)
		}
	}
}
