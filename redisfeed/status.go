package redisfeed

import (
	"sync"
	"sync/atomic"
	"time"

	"roost/redisfeed/internal/boottime"
	"roost/redisfeed/internal/subs"
)

// Users is how many users there are, by how far their subscriptions are.
type Users = subs.Counts

// Status is what a feed says about itself at one moment.
type Status struct {
	Connected bool      // subscribed: Redis has confirmed both subscriptions and the link is not lost
	Since     time.Time // when Connected last changed; the start before that
	Outage    time.Time // the latest loss of a link that was as old as Config.RetryDelay, or the first; zero before that
	Err       string    // why it is not connected; empty while it is

	// Ping is the last heartbeat's way to Redis and back to the reader, 0 before the first on this link. It
	// contains the time for which the sink held the reader up.
	Ping time.Duration

	Attempts   int    // failed attempts in a row since the link was last up
	Reconnects uint64 // links after the first
	Gaps       uint64 // times at which notifications may have been missed: subscriptions confirmed after the first
	BadReplies uint64 // links lost because of a reply that no Redis sends to a subscriber

	// Busy is how long the feed's goroutine was not waiting for Redis: it parsed, delivered, wrote for loops that
	// slept, or waited for loops with full mailboxes. One goroutine does all this, so a second each second is the end.
	Busy time.Duration

	Messages    uint64    // notifications handed to the sink; heartbeats are not counted
	LastMessage time.Time // when the latest was read; zero before the first

	Users Users // all zero in Pattern mode
}

// monitor collects what Status shows. Any goroutine reads it; Run's goroutine writes it.
type monitor struct {
	// Touched for every message, so atomics, written by the readers.

	ping        atomic.Int64 // nanoseconds
	messages    atomic.Uint64
	lastMessage atomic.Int64 // Unix nanoseconds, 0 before the first
	busy        atomic.Int64 // nanoseconds
	proven      atomic.Int64 // link.proven of the feed's own link; 0: there is none

	mu   sync.Mutex // guards rest; held for assignments only
	rest Status     // all but those above
}

func newMonitor(now time.Time) *monitor {
	return &monitor{rest: Status{Since: now, Err: errNotYet.Error()}}
}

func (m *monitor) status() Status {
	m.mu.Lock()
	s := m.rest
	m.mu.Unlock()
	s.Ping = time.Duration(m.ping.Load())
	s.Messages = m.messages.Load()
	s.Busy = time.Duration(m.busy.Load())
	if ns := m.lastMessage.Load(); ns != 0 {
		s.LastMessage = time.Unix(0, ns)
	}
	return s
}

// Proven returns a time up to which all that Redis had sent to the feed's own link was handed to the sink. It moves on with each
// heartbeat. It is now where there is nothing to wait for: without a link, and where heartbeats can't be published although the link
// works, as one that is silent for so long is given up. Any goroutine.
func (f *Feed) Proven() time.Time {
	at, now := boottime.Instant(f.monitor.proven.Load()), boottime.Now()
	if at == 0 || at < now.Add(-f.cfg.HeartbeatTimeout-f.cfg.HeartbeatInterval) {
		at = now
	}
	return at.Wall()
}

// up notes a link that has been confirmed, again saying that it is not the first.
func (m *monitor) up(now time.Time, again bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rest.Connected, m.rest.Since, m.rest.Err, m.rest.Attempts = true, now, "", 0
	if again {
		m.rest.Reconnects++
		m.rest.Gaps++
	}
}

// gap notes that notifications may have been missed though the link is up.
func (m *monitor) gap() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rest.Gaps++
}

// down notes that there is no link and why. attempts is how many have failed since there was one, and outage is as in
// Status.
func (m *monitor) down(now time.Time, cause error, attempts int, outage time.Time) {
	m.ping.Store(0)
	m.proven.Store(0)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rest.Connected {
		m.rest.Connected, m.rest.Since = false, now
	}
	m.rest.Err, m.rest.Attempts, m.rest.Outage = cause.Error(), attempts, outage
}

// restore notes how things are in the process that this one takes over from.
func (m *monitor) restore(connected bool, since time.Time, why string, outage time.Time, attempts int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rest.Connected, m.rest.Since, m.rest.Err, m.rest.Outage, m.rest.Attempts = connected, since, why, outage, attempts
}

func (m *monitor) badReply() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rest.BadReplies++
}
