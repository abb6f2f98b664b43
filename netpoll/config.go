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

// Config configures a Server. Zero values get the defaults named here.
type Config struct {
	Rules // at the start

	Hub *hub.Hub // the registry; required

	// Subscriptions counts the connections of each user, and lets handshakes wait until the user is subscribed. Nil:
	// everybody is subscribed, and nothing waits.
	Subscriptions Subscriptions

	// Health returns the answer to /health and /health/ready on the WebSocket port. Loops call it, so it must not wait for
	// anything. Nil answers 200 with an empty object.
	Health func() (status int, body []byte)

	// TLS does the handshakes of the TLS port; nil: there is none. See NewTLS.
	TLS *TLS

	Live []byte // the answer to /health/live, always with 200; an empty object

	Logger *slog.Logger // must not block: loops log; nil is slog.Default()

	// Now is the wall clock, for the expiry of tokens and the times in gap notices; nil is time.Now. Deadlines and intervals
	// use a monotonic clock.
	Now func() time.Time

	// Loops is the number of event loops; 0 is GOMAXPROCS. Each sleeps in a system call, and may keep a slot of Go's scheduler
	// for up to 10 ms when it does: GOMAXPROCS should be larger.
	Loops int

	// HoldLoops has the loops start with Serve, and not with New, for a server that takes connections over (Server.BeginTakeover). Until Serve is
	// called, only the methods of TakingOver may be.
	HoldLoops bool

	// AuthWorkers is the number of goroutines that check tokens of key pairs and compute TLS handshakes; 0 is half of Loops,
	// and one at least. With more, clients with bad tokens could keep the loops from the processors.
	AuthWorkers int
	// AuthQueue is how many tokens, and how many TLS handshakes, may wait for AuthWorkers; beyond it the one that would wait
	// longest is refused. 8192.
	AuthQueue int

	HandshakeTimeout time.Duration // from accept to the complete request head, TLS handshake included; 10 s
	AuthTimeout      time.Duration // until a token is checked by AuthWorkers; 3 s
	SubscribeWait    time.Duration // for which a handshake waits for its subscription, or up to a quarter less; 1 s
	PingInterval     time.Duration // 30 s
	PongWait         time.Duration // silence after which a connection is dead; 60 s
	WriteWait        time.Duration // for which a client may take nothing of what waits; 10 s
	LingerTimeout    time.Duration // from the close message until the socket is closed, at most; 2 s
	RetryAfter       time.Duration // for which a refused client is told to wait; 5 s

	// ProxyProtocol requires a PROXY header, version 1 or 2, from every address that Upgrader trusts, and refuses it from
	// others. It names the client.
	ProxyProtocol bool

	// RejectAfterUpgrade says which clients are refused with a close frame; RejectKnowing.
	RejectAfterUpgrade RejectMode

	MaxMessage int // bytes of a client's message; 0 is no bound

	// CloseSlow closes a connection whose send queue is full: with 4408 if its client is slow, with 4507 if more came at once
	// than may wait. Otherwise the connection only misses the notification.
	CloseSlow bool

	// CloseOnExpiry closes a connection with 4401 when its token expires.
	CloseOnExpiry bool

	// MaxAge closes a connection with 1001 at this age, or up to a fifth earlier; 0 is no bound. To the second.
	MaxAge time.Duration

	// GapNotice tells clients of lost notifications, in an envelope of type _gap.
	GapNotice bool

	ReadBuffer       int // bytes that are read from one connection at a time; 4096 at least
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
	// HandshakeRate bounds the upgrades a second with a good token, before that the TLS handshakes a second, and the refusals a second that linger (see
	// Config.LingerTimeout). HandshakeBurst, HandshakeRate at least, bounds those that come at once. Each address gets a share
	// of both. 0 is no bound.
	HandshakeRate, HandshakeBurst int

	MessageRate  int // messages and control frames a second from one client; 0 is no bound
	MessageBurst int // as many at once; MessageRate at least

	// QueueBytes bounds the send queue of one connection, in memory: the memory of a notification's frame and 80 bytes. 0 is 4 MiB.
	QueueBytes int
	// QueueMessages bounds the notifications that wait for a client that has taken nothing for a second. 0 is 256.
	QueueMessages int
	// QueueTotal bounds the memory of all send queues; 0 is no bound. A notification that waits for many connections counts
	// once.
	QueueTotal int

	// PendingTotal bounds the bytes that are kept for all pending handshakes, in equal shares for the loops: incomplete heads
	// and PROXY headers, requests that wait for a worker or a subscription, and what came behind these. Beyond it the address
	// that has most loses handshakes. 0 is no bound.
	PendingTotal int

	// MaxSockets bounds the sockets in every state. Beyond it a socket that is not a connection is evicted, of the address
	// that has most, or the new one is closed. 0 is no bound. See Budget.
	MaxSockets int

	// ConnectionLines bounds the log lines a second about connects and disconnects. The number of those left out is logged. 0
	// is no bound.
	ConnectionLines int
}

// rules are Rules, ready for use. Static after construction, except the buckets, which any goroutine may use.
type rules struct {
	Rules
	handshakes   *fairbucket.Bucket // of handshakes with a good token; nil is no bound, as for the next
	secure       *fairbucket.Bucket // of TLS handshakes, before anything is computed for them
	refusals     *fairbucket.Bucket
	pendingShare int // a loop's share of PendingTotal; 0 is no bound
}

// newRules keeps the buckets of old, which may be nil, unless their rate changes.
func newRules(r Rules, loops int, old *rules) *rules {
	r.HandshakeBurst = max(r.HandshakeBurst, r.HandshakeRate)
	r.MessageBurst = max(r.MessageBurst, r.MessageRate)
	r.QueueBytes, r.QueueMessages = cmp.Or(r.QueueBytes, 4<<20), cmp.Or(r.QueueMessages, 256)
	next := &rules{Rules: r, pendingShare: pendingShare(r.PendingTotal, loops)}
	switch {
	case r.HandshakeRate <= 0:
	case old != nil && old.HandshakeRate == r.HandshakeRate && old.HandshakeBurst == r.HandshakeBurst:
		next.handshakes, next.secure, next.refusals = old.handshakes, old.secure, old.refusals
	default:
		next.handshakes = fairbucket.New(r.HandshakeRate, r.HandshakeBurst, handshakeShare)
		next.secure = fairbucket.New(r.HandshakeRate, r.HandshakeBurst, handshakeShare)
		next.refusals = fairbucket.New(r.HandshakeRate, r.HandshakeBurst, refusalShare)
	}
	return next
}

// The share of what is free that one address may take, see fairbucket. For handshakes with a good token it is nearly all,
// because all clients may come through one proxy, and after a restart at once. For refusals it is less: strangers may have
// any number of addresses.
const (
	handshakeShare = 8
	refusalShare   = 1
)

// leastPendingShare is the least share of a loop: enough for one of the largest handshakes.
const leastPendingShare = 128 << 10

func pendingShare(total, loops int) int {
	if total <= 0 {
		return 0
	}
	return max(total/loops, leastPendingShare)
}

// SetRules replaces the rules, all at once, for what happens from now on. Open connections stay, even if the new rules would
// refuse them. A token that waits for a worker is checked by the new upgrader. Connections that were admitted while MaxPerIP
// was 0 do not count when it becomes a bound. When MessageBurst or MessageRate changes, every client's count starts over.
//
// It fails, and changes nothing, without an upgrader. One goroutine at a time.
func (s *Server) SetRules(next Rules) error {
	if next.Upgrader == nil {
		return errors.New("netpoll: Rules.Upgrader is required")
	}
	s.rules.Store(newRules(next, s.cfg.Loops, s.rules.Load()))
	s.lines.setRate(next.ConnectionLines)
	return nil
}

// upgrader returns the upgrader of the current rules. Any goroutine.
func (s *Server) upgrader() *handshake.Upgrader { return s.rules.Load().Upgrader }

// Budget says how many sockets and connections the descriptor limit leaves.
type Budget struct {
	Descriptors int // that the process may open: the soft limit of RLIMIT_NOFILE
	Sockets     int // of these, for clients in every state: Rules.MaxSockets
	Connections int // of these, for admitted connections; the rest is for refusals and /health
}

// Descriptors returns the process's limit on open files. The Go runtime raises the soft limit to the hard one before main
// runs.
func Descriptors() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("reading the limit on open files (RLIMIT_NOFILE): %w", err)
	}
	return int(min(limit.Cur, 1<<30)), nil
}

// OwnDescriptors is how many descriptors a Server with so many loops opens for itself: each loop's epoll and eventfd, the
// plain listener, and the spare one. One more is the TLS listener.
func OwnDescriptors(loops int) int { return 2*loops + 2 }

// NewBudget divides descriptors. reserved is for everything but client sockets (the server itself, Redis, the admin server).
// wanted bounds the connections; 0 does not.
//
// Sockets that are not connections have a share of their own, so that refusals and /health are answered when there are as
// many connections as there may be: a sixteenth of the descriptors, 16 to 512. If there are many more descriptors than
// wanted it is a quarter of the connections, 512 at least: enough for a storm of reconnects, and a bound for clients that
// only begin handshakes.
func NewBudget(descriptors, reserved, wanted int) Budget {
	sockets := max(descriptors-reserved, 2)
	connections := max(sockets-min(max(sockets/16, 16), 512), 1)
	if wanted > 0 {
		connections = min(connections, wanted)
	}
	sockets = min(sockets, connections+max(512, connections/4))
	return Budget{Descriptors: descriptors, Sockets: sockets, Connections: connections}
}
