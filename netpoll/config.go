package netpoll

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"roost/hub"
	"roost/netpoll/internal/fairbucket"
	"roost/wsproto/handshake"
)

// Config is what a Server is told. Zero values get the defaults named here.
type Config struct {
	Rules // at the start

	Hub *hub.Hub // the registry; required

	// Subscriptions counts the connections of each user, and lets handshakes wait until the user is subscribed. Nil:
	// everybody is subscribed, and nothing waits.
	Subscriptions Subscriptions

	// Health gives the answer to /health and /health/ready on the WebSocket port.
	// Loops call it, so it must not wait for anything. Nil answers 200 with an empty
	// object.
	Health func() (status int, body []byte)

	Live []byte // the answer to /health/live, always with 200; an empty object

	Logger *slog.Logger // must not block: loops log; nil is slog.Default()

	// Now is the clock on the wall, by which tokens expire and notices say when
	// something was lost; nil is time.Now. Every deadline and interval goes by
	// another clock, which nobody sets.
	Now func() time.Time

	// Loops is the number of event loops; 0 is GOMAXPROCS. Each sleeps in a system
	// call and may keep a slot of Go's scheduler for up to 10 ms when it does:
	// GOMAXPROCS should be larger.
	Loops int

	// AuthWorkers is the number of goroutines that check tokens of key pairs; 0 is half of
	// Loops, and one at least: with more, those who send tokens that are not good would keep
	// the loops from the processors.
	AuthWorkers int
	// AuthQueue is how many tokens may wait for them; beyond it the one that would have to
	// wait longest is refused. 8192.
	AuthQueue int

	HandshakeTimeout time.Duration // from accept to the complete request head; 10 s
	AuthTimeout      time.Duration // for which a token waits for AuthWorkers at most, and is checked; 3 s
	SubscribeWait    time.Duration // for which a handshake waits for Subscriptions at most, up to a quarter less; 1 s
	PingInterval     time.Duration // 30 s
	PongWait         time.Duration // silence after which a connection is dead; 60 s
	WriteWait        time.Duration // 10 s
	LingerTimeout    time.Duration // from the last words to the end at the latest; 2 s
	RetryAfter       time.Duration // what a refused client is told to wait; 5 s

	// ProxyProtocol has every connection from an address that Upgrader trusts begin with a PROXY header, version 1
	// or 2, which names the client. Others may send none.
	ProxyProtocol bool

	// RejectAfterUpgrade says who is refused with a close frame; RejectKnowing.
	RejectAfterUpgrade RejectMode

	MaxMessage int // bytes of a client's message; 0 is no bound

	// CloseSlow ends a connection that a notification finds no room for, with
	// 4408 if its client is slow, and 4507 if more came at once than may wait; otherwise it
	// only misses that one.
	CloseSlow bool

	// CloseOnExpiry ends a connection with 4401 when its token would be refused.
	CloseOnExpiry bool

	// MaxAge ends a connection with 1001 when it is so old, or up to a fifth less;
	// 0 is no bound. To the second.
	MaxAge time.Duration

	// GapNotice tells clients, in an envelope of type _gap, that notifications for
	// them were lost.
	GapNotice bool

	ReadBuffer       int // bytes that one connection is read in a turn of its loop; 4096 at least
	MailboxItems     int // notifications that wait for one loop before the feed does; 16384
	LingeringSockets int // sockets of one loop that may linger at a time; 1024
}

// withDefaults fills in what was left at zero.
func (c Config) withDefaults(procs int) Config {
	fill := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	fill(&c.HandshakeTimeout, 10*time.Second)
	fill(&c.AuthTimeout, 3*time.Second)
	fill(&c.SubscribeWait, time.Second)
	fill(&c.PingInterval, 30*time.Second)
	fill(&c.PongWait, 60*time.Second)
	fill(&c.WriteWait, 10*time.Second)
	fill(&c.LingerTimeout, 2*time.Second)
	fill(&c.RetryAfter, 5*time.Second)
	c.PingInterval, c.PongWait = min(c.PingInterval, longestWait), min(c.PongWait, longestWait)
	fillInt := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	fillInt(&c.Loops, procs)
	fillInt(&c.AuthWorkers, (c.Loops+1)/2)
	fillInt(&c.AuthQueue, 8192)
	fillInt(&c.MailboxItems, 16384)
	fillInt(&c.LingeringSockets, 1024)
	c.ReadBuffer = max(c.ReadBuffer, 4096)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Health == nil {
		c.Health = func() (int, []byte) { return 200, []byte("{}") }
	}
	if c.Live == nil {
		c.Live = []byte("{}")
	}
	return c
}

// tickLength returns how long a tick of the loops' wheels is: a quarter of the
// shortest time that the wheel has to keep, so that none is off by more, and at
// most half a second, so that pings leave in batches and not one by one (a
// core's 1.3% instead of 4.3% with 18,000 connections).
func (c Config) tickLength() time.Duration {
	shortest := min(c.HandshakeTimeout, c.AuthTimeout, c.PingInterval, c.PongWait, c.WriteWait, c.LingerTimeout)
	if c.Subscriptions != nil {
		shortest = min(shortest, c.SubscribeWait)
	}
	return min(max(shortest/4, time.Millisecond), 500*time.Millisecond)
}

// Rules are what may change while connections are open, see [Server.SetRules].
type Rules struct {
	Upgrader *handshake.Upgrader // decides about handshakes; required

	MaxPerIP int // connections from one address, IPv6 by its /64; 0 is no bound
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
// place of; a token that is being checked is judged by the new upgrader. Connections that were
// admitted while MaxPerIP was 0 are not counted when it becomes a bound. What a client has used
// up of its MessageBurst is forgotten when that or MessageRate changes.
//
// The error is that there is no upgrader, and then nothing changes. One goroutine at a
// time.
func (s *Server) SetRules(next Rules) error {
	if next.Upgrader == nil {
		return errors.New("netpoll: Rules.Upgrader is required")
	}
	s.rules.Store(newRules(next, s.cfg.Loops, s.rules.Load()))
	s.lines.setRate(next.ConnectionLines)
	return nil
}

// upgrader is the one that decides now. Any goroutine.
func (s *Server) upgrader() *handshake.Upgrader { return s.rules.Load().Upgrader }

// Budget says how many sockets and connections the descriptor limit leaves.
type Budget struct {
	Descriptors int // what the process may open, RLIMIT_NOFILE's soft limit
	Sockets     int // of these for clients, in whatever state: Rules.MaxSockets
	Connections int // of these for admitted connections; the rest lets refusals and /health be answered
}

// Descriptors returns the process's limit on open files. The Go runtime has
// raised the soft limit to the hard one by the time main runs.
func Descriptors() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("reading the limit on open files (RLIMIT_NOFILE): %w", err)
	}
	return int(min(limit.Cur, 1<<30)), nil
}

// OwnDescriptors is how many descriptors a Server with so many loops opens for
// itself: each loop's epoll and bell, the listener, and one that is kept aside.
func OwnDescriptors(loops int) int { return 2*loops + 2 }

// NewBudget divides descriptors. reserved is what everything but client sockets
// may need (the server itself, Redis, the side server). wanted bounds the
// connections; 0 does not.
//
// Sockets that are not connections (yet, or any more) have a share of their own,
// so that refusals and /health are answered when all connections are there: a
// sixteenth of the descriptors, 16 to 512. Where descriptors abound it is a
// quarter of the connections, 512 at least: enough for a storm of reconnects,
// and a bound for clients who only ever begin.
func NewBudget(descriptors, reserved, wanted int) Budget {
	sockets := max(descriptors-reserved, 2)
	connections := max(sockets-min(max(sockets/16, 16), 512), 1)
	if wanted > 0 {
		connections = min(connections, wanted)
	}
	sockets = min(sockets, connections+max(512, connections/4))
	return Budget{Descriptors: descriptors, Sockets: sockets, Connections: connections}
}
