package netpoll

import (
	"log/slog"
	"time"

	"roost/hub"
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

	// Checkers is the number of goroutines that check tokens of key pairs; 0 is half of
	// Loops, and one at least: with more, those who send tokens that are not good would keep
	// the loops from the processors.
	Checkers int
	// CheckQueue is how many tokens may wait for them; beyond it the one that would have to
	// wait longest is refused. 8192.
	CheckQueue int

	HandshakeTimeout time.Duration // from accept to the complete request head; 10 s
	CheckWait        time.Duration // for which a token waits for Checkers at most, and is checked; 3 s
	SubscribeWait    time.Duration // for which a handshake waits for Subscriptions at most, up to a quarter less; 1 s
	PingInterval     time.Duration // 30 s
	PongWait         time.Duration // silence after which a connection is dead; 60 s
	WriteWait        time.Duration // 10 s
	LingerTimeout    time.Duration // from the last words to the end at the latest; 2 s
	RetryAfter       time.Duration // what a refused client is told to wait; 5 s

	// ProxyProtocol has every connection from an address that Gate trusts begin with a PROXY header, version 1
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
	fill(&c.CheckWait, 3*time.Second)
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
	fillInt(&c.Checkers, (c.Loops+1)/2)
	fillInt(&c.CheckQueue, 8192)
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
	shortest := min(c.HandshakeTimeout, c.CheckWait, c.PingInterval, c.PongWait, c.WriteWait, c.LingerTimeout)
	if c.Subscriptions != nil {
		shortest = min(shortest, c.SubscribeWait)
	}
	return min(max(shortest/4, time.Millisecond), 500*time.Millisecond)
}
