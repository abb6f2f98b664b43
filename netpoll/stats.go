package netpoll

import (
	"sync/atomic"
	"time"

	"roost/netpoll/internal/meter"
	"roost/wsproto/handshake"
)

// loopStats is what one loop counts. The loop writes (and Deliver, what comes too
// late), anybody reads.
type loopStats struct {
	sockets         atomic.Int64  // client sockets in every state
	sent            atomic.Uint64 // notifications whose last byte the kernel has taken
	failed          [failureCount]atomic.Uint64
	unacked         [reasonCount]atomic.Uint64 // notifications in sent that the client had not acknowledged when it ended
	unackedBytes    [reasonCount]atomic.Uint64 // of all that was written
	bytesOut        atomic.Uint64              // everything written: frames, control frames, HTTP answers
	bytesIn         atomic.Uint64
	writes          atomic.Uint64 // system calls that wrote
	opened          atomic.Uint64 // connections that got their 101
	refused         [handshake.RefusalReasonCount]atomic.Uint64
	ended           [reasonCount]atomic.Uint64  // connections that had got their 101
	closeCodes      [closeClasses]atomic.Uint64 // the same, by close code
	health          atomic.Uint64               // /health answers
	pings           atomic.Uint64
	messages        atomic.Uint64 // from clients
	textPongs       atomic.Uint64 // answers to pings in text
	stalled         atomic.Int64  // connections that the kernel takes nothing for
	requests        atomic.Int64  // connections that have not completed their request head
	pendingRank     atomic.Int32  // rank of the source that has most pending handshakes
	pendingBytes    atomic.Int64  // kept for pending handshakes
	authenticating  atomic.Int64  // connections whose token a worker has
	subscribing     atomic.Int64  // connections that wait until their user is heard
	unsubscribed    atomic.Uint64 // connections that did so for too long
	partialRequests atomic.Int64  // connections with a part of their request head
	closing         atomic.Int64  // connections that have, or wait for, their last words
	lingering       atomic.Int64  // of these: only waiting for the client to close
	lingerCut       atomic.Uint64 // closed at once because too many lingered, or were refused
	panics          atomic.Uint64
	notices         atomic.Uint64 // of gaps
}

// acceptStats is what is counted of sockets before they are connections.
type acceptStats struct {
	accepted   atomic.Uint64
	errors     atomic.Uint64 // accept failed; each is retried
	unanswered [unansweredCount]atomic.Uint64
	sockets    atomic.Int64 // client sockets in every state
}

// Bounds of the buckets, each inclusive.
var (
	// deliveryBounds reach from what an idle server needs to the WriteWait of a client that takes nothing.
	deliveryBounds = [...]time.Duration{
		100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
		time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
		10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
		100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
	}
	// handshakeBounds begin where the clock of connections, which counts milliseconds, can tell them apart.
	handshakeBounds = [...]time.Duration{
		5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
		100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
	}
)

// Histogram is durations counted by buckets.
type Histogram = meter.Counts

// Stats is what the server has counted since it was made, summed over the loops.
// At every instant Accepted = Sent + the sum of Failed + Waiting.
type Stats struct {
	Loops         int
	Sockets       int    // client sockets now, in every state
	SocketsOpened uint64 // sockets accepted
	AcceptErrors  uint64
	Unanswered    map[string]uint64 // sockets closed without an answer, by reason

	Opened  uint64            // handshakes that ended with a 101
	Refused map[string]uint64 // handshakes refused, by reason
	Ended   map[string]uint64 // connections that ended, by reason
	Closed  map[string]uint64 // the same, by the close code they were told; 1006 without a close frame
	Health  uint64            // /health answered on the WebSocket port

	Accepted uint64            // notification × connection: taken for delivery
	Sent     uint64            // the kernel has taken the last byte
	Failed   map[string]uint64 // will never be sent, by reason
	Waiting  uint64            // in a loop's mailbox or a connection's write queue

	// Of what was in Sent for a connection, this was not acknowledged by its client when it ended, by the
	// reason. It may have arrived, but most of the time has not. Unacked are the notifications, as far
	// back as the loop's log of what was sent goes: in a minute with more than 131,072 for a loop not
	// all. UnackedBytes are everything that was written, control frames too.
	Unacked, UnackedBytes map[string]uint64

	// Delays are of the notifications in Sent, from when the feed has read them until
	// the kernel has taken their last byte. Handshakes are of the connections in
	// Opened, from accept until the 101, to the millisecond: what the client took to
	// ask is in them, and what waited for the loop and for the feed.
	Delays, Handshakes Histogram

	Busy           []time.Duration // that each loop was not asleep
	Mailbox        []int           // items that wait for each loop
	Queued         int             // notification × connection in write queues that the kernel takes no more of
	QueuedBytes    int             // the memory of these notifications, each once
	Stalled        int             // connections that the kernel takes nothing for now
	Lingering      int
	Authenticating int    // handshakes whose token is checked, or waits to be, off the loops
	LingerCut      uint64 // closed without waiting for the client, because too many lingered or were refused

	Pending      int // sockets that are not admitted yet: they have not asked, or their token is checked, or their user is not heard yet
	PendingBytes int // kept for these

	Subscribing  int    // handshakes that wait until their user's notifications are heard, see Config.Subscriptions
	Unsubscribed uint64 // handshakes that went on without that: their clients may have missed something

	BytesIn, BytesOut, Writes uint64
	Pings, ClientMessages     uint64
	TextPongs                 uint64 // given to clients that sent a ping in text
	GapNotices                uint64 // given to clients of which notifications were lost
	Panics                    uint64
}

// FailedTotal returns the sum of Failed.
func (s Stats) FailedTotal() uint64 {
	var sum uint64
	for _, n := range s.Failed {
		sum += n
	}
	return sum
}

// MailboxItems returns the sum of Mailbox.
func (s Stats) MailboxItems() (sum int) {
	for _, n := range s.Mailbox {
		sum += n
	}
	return sum
}

// Stats sums what the loops and acceptors have counted. Any goroutine; it takes
// the lock of each mailbox for a moment and never waits for a loop.
func (s *Server) Stats() Stats {
	sum := Stats{
		Loops:         len(s.loops),
		Sockets:       int(s.accepts.sockets.Load()),
		SocketsOpened: s.accepts.accepted.Load(),
		AcceptErrors:  s.accepts.errors.Load(),
		Unanswered:    make(map[string]uint64, unansweredCount),
		Refused:       make(map[string]uint64),
		Ended:         make(map[string]uint64, reasonCount),
		Unacked:       make(map[string]uint64, reasonCount),
		UnackedBytes:  make(map[string]uint64, reasonCount),
		Queued:        s.queues.Places(),
		QueuedBytes:   s.queues.Bytes(),
		Closed:        make(map[string]uint64, closeClasses),
		Failed:        make(map[string]uint64, failureCount),
	}
	for i := range s.accepts.unanswered {
		sum.Unanswered[unansweredNames[i]] = s.accepts.unanswered[i].Load()
	}
	for _, l := range s.loops {
		l.addTo(&sum)
	}
	return sum
}

// addTo adds one loop's numbers. What was sent and failed is read before what
// was accepted, so that the difference, what waits, is never below zero.
func (l *loop) addTo(sum *Stats) {
	st := &l.stats
	out := st.sent.Load()
	sum.Sent += out
	for i := range st.failed {
		n := st.failed[i].Load()
		sum.Failed[failureNames[i]] += n
		out += n
	}
	depth, pushed := l.mail.Depth()
	sum.Accepted += pushed
	sum.Waiting += pushed - out
	sum.Mailbox = append(sum.Mailbox, depth)

	for i := range st.refused {
		sum.Refused[handshake.RefusalReason(i).String()] += st.refused[i].Load()
	}
	for i := ReasonClient; i <= lastOpenReason; i++ {
		sum.Ended[i.String()] += st.ended[i].Load()
		sum.Unacked[i.String()] += st.unacked[i].Load()
		sum.UnackedBytes[i.String()] += st.unackedBytes[i].Load()
	}
	for i := range st.closeCodes {
		sum.Closed[closeClass(i).String()] += st.closeCodes[i].Load()
	}
	l.sent.AddDelays(&sum.Delays)
	l.handshakes.AddTo(&sum.Handshakes)
	sum.Busy = append(sum.Busy, l.busy.Total(l.server.now))
	sum.Opened += st.opened.Load()
	sum.Health += st.health.Load()
	sum.Stalled += int(st.stalled.Load())
	sum.Lingering += int(st.lingering.Load())
	sum.Authenticating += int(st.authenticating.Load())
	sum.Subscribing += int(st.subscribing.Load())
	sum.Pending += int(st.requests.Load() + st.authenticating.Load() + st.subscribing.Load())
	sum.PendingBytes += int(st.pendingBytes.Load())
	sum.Unsubscribed += st.unsubscribed.Load()
	sum.LingerCut += st.lingerCut.Load()
	sum.BytesIn += st.bytesIn.Load()
	sum.BytesOut += st.bytesOut.Load()
	sum.Writes += st.writes.Load()
	sum.Pings += st.pings.Load()
	sum.ClientMessages += st.messages.Load()
	sum.TextPongs += st.textPongs.Load()
	sum.GapNotices += st.notices.Load()
	sum.Panics += st.panics.Load()
}
