package netpoll

import (
	"cmp"
	"errors"

	"roost/netpoll/internal/fairbucket"
	"roost/wsproto"
)

// Rules are what may change while connections are open, see [Server.SetRules].
type Rules struct {
	Gate *wsproto.Gate // decides about handshakes; required

	MaxPerAddress int // connections from one address, IPv6 by its /64; 0 is no bound
	// HandshakeRate bounds the upgrades a second with a good token, and the refusals a second that are waited for (see
	// Config.LingerTimeout), and HandshakeBurst, HandshakeRate at least, those that come at once. Of each a source has
	// a share. 0 is no bound.
	HandshakeRate, HandshakeBurst int

	MessageRate  int // messages and control frames a second from one client; 0 is no bound
	MessageBurst int // as many at once; MessageRate at least

	// QueueBytes bounds what waits for one connection, counted as the memory that it
	// takes: a notification's frame and 96 bytes. 0 is 4 MiB.
	QueueBytes int
	// QueueMessages bounds how many notifications may wait for a client that has taken
	// nothing for a second. 0 is 256.
	QueueMessages int
	// QueueTotal bounds the memory of what waits for all connections together; 0 is no bound.
	// A notification that waits for many connections counts once.
	QueueTotal int

	// PendingTotal bounds the bytes of what is kept for all pending handshakes together, in equal shares for the
	// loops: heads and PROXY headers that are not complete, requests whose token is checked or whose user is not
	// heard yet, and what came behind these. Beyond it who has most makes room. 0 is no bound.
	PendingTotal int

	// MaxSockets bounds sockets in every state together; what comes beyond is
	// closed without an answer: who has most that is not a connection makes room. 0 is no bound. See Budget.
	MaxSockets int

	// ConnectionLines bounds the lines a second about connects and disconnects; how
	// many are left out is said. 0 is no bound.
	ConnectionLines int
}

// rules are Rules, ready for use. Static after construction, but for the buckets,
// which any goroutine may ask.
type rules struct {
	Rules
	handshakes   *fairbucket.Bucket // of those with a good token; nil for no limit, as the next
	refusals     *fairbucket.Bucket
	pendingShare int // a loop's part of PendingTotal; 0 is no bound
}

// newRules takes over from old, which may be nil, how many handshakes there were
// lately, unless their rate is another one.
func newRules(r Rules, loops int, old *rules) *rules {
	r.HandshakeBurst = max(r.HandshakeBurst, r.HandshakeRate)
	r.MessageBurst = max(r.MessageBurst, r.MessageRate)
	r.QueueBytes, r.QueueMessages = cmp.Or(r.QueueBytes, 4<<20), cmp.Or(r.QueueMessages, 256)
	next := &rules{Rules: r, pendingShare: pendingShare(r.PendingTotal, loops)}
	switch {
	case r.HandshakeRate <= 0:
	case old != nil && old.HandshakeRate == r.HandshakeRate && old.HandshakeBurst == r.HandshakeBurst:
		next.handshakes, next.refusals = old.handshakes, old.refusals
	default:
		next.handshakes = fairbucket.New(r.HandshakeRate, r.HandshakeBurst, handshakeShare)
		next.refusals = fairbucket.New(r.HandshakeRate, r.HandshakeBurst, refusalShare)
	}
	return next
}

// How much of what is free a source may take. Of handshakes, whose tokens are good, nearly all: all clients may come
// through one proxy that names nobody, and after a restart they come at once. Refused are strangers, of any number of
// addresses: so that others find something, each has less.
const (
	handshakeShare = 8
	refusalShare   = 1
)

// leastPendingShare is what a loop may keep for pending handshakes at least: one of the largest.
const leastPendingShare = 128 << 10

func pendingShare(total, loops int) int {
	if total <= 0 {
		return 0
	}
	return max(total/loops, leastPendingShare)
}

// SetRules replaces the rules, all at once, for what happens from now on.
// Connections that are open stay, also those that a new one would be refused in
// place of; a token that is being checked is judged by the new gate. Connections that were
// admitted while MaxPerAddress was 0 are not counted when it becomes a bound. What a client has used
// up of its MessageBurst is forgotten when that or MessageRate changes.
//
// The error is that there is no gate, and then nothing changes. One goroutine at a
// time.
func (s *Server) SetRules(next Rules) error {
	if next.Gate == nil {
		return errors.New("netpoll: Rules.Gate is required")
	}
	s.rules.Store(newRules(next, s.cfg.Loops, s.rules.Load()))
	s.lines.setRate(next.ConnectionLines)
	return nil
}

// gate is the one that decides now. Any goroutine.
func (s *Server) gate() *wsproto.Gate { return s.rules.Load().Gate }
