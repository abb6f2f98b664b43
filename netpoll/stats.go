package netpoll

import (
	"crypto/tls"
	"sync/atomic"
	"time"

	"roost/internal/metric"
	"roost/netpoll/internal/meter"
	"roost/wsproto/handshake"
)

// Counters are the counters and gauges of a loop that have no labels. To add one takes a field: with a tag, /metrics shows
// it. The loop counts in a Counters[atomic.Int64], and any goroutine reads; Stats has the sum over the loops.
type Counters[T any] struct {
	BytesIn  T `metric:"roost_received_bytes_total" help:"Bytes read from clients."`
	BytesOut T `metric:"roost_sent_bytes_total" help:"Bytes written to clients."` // frames, control frames, HTTP answers
	Writes   T // system calls that wrote

	Pings          T `metric:"roost_pings_sent_total" help:"Pings sent to clients."`
	TextPongs      T `metric:"roost_client_pings_total" help:"Text messages {\"type\":\"ping\"} from clients that were answered."`
	ClientMessages T
	Replayed       T `metric:"roost_notifications_replayed_total" help:"Notifications that clients had missed and were sent when they came back, once for each connection. Each counts as accepted, too."`
	GapNotices     T `metric:"roost_gap_notices_total" help:"Notices to clients that notifications for them were lost."`

	EventStreams  T `metric:"roost_event_streams" help:"Connections that are event streams (/sse). They are among roost_connections."`
	StreamsOpened T `metric:"roost_event_streams_opened_total" help:"Event streams that were opened. They are among roost_connections_accepted_total."`

	Health         T // answers to /health on the WebSocket port
	Pending        T `metric:"roost_pending_handshakes" help:"Client sockets that are not admitted yet: their request is incomplete, their token is being checked, or their user is not subscribed yet."`
	PendingBytes   T `metric:"roost_pending_bytes" help:"Bytes kept for pending handshakes. WS_MAX_PENDING_BYTES bounds them."`
	Authenticating T `metric:"roost_token_checks" help:"Handshakes whose token is being checked by a worker, or waits for one."`
	Subscribing    T `metric:"roost_handshakes_awaiting_feed" help:"Handshakes that wait until Redis has confirmed the subscription to their user. 0 where one subscription covers all users."`
	Unsubscribed   T `metric:"roost_handshakes_heard_late_total" help:"Handshakes that waited a second for Redis to confirm the subscription to their user, and went on without it: what was published for the user then may have been missed."`

	TLS13       T // connections of TLS 1.3 whose TLS handshake is done
	TLS12       T // and of TLS 1.2
	RecordBytes T `metric:"roost_tls_partial_record_bytes" help:"Bytes kept of TLS records of open and closing connections, and of messages with a new token, whose rest has not come. Above WS_MAX_PENDING_BYTES the connections that have waited longest are closed."`
	Renewing    T `metric:"roost_token_renewals_pending" help:"Tokens that clients have sent on an open connection and that are being checked, or wait for a worker."`

	HandedOver T `metric:"roost_connections_handed_over_total" help:"Open connections that this process gave to the one that took over from it."`
	TakenOver  T `metric:"roost_connections_taken_over_total" help:"Open connections that this process took over from the one before it. They are not among roost_connections_accepted_total."`

	Lingering T `metric:"roost_sockets_lingering" help:"Sockets that have ended and wait for the client to close."`
	LingerCut T `metric:"roost_sockets_linger_cut_total" help:"Sockets closed without waiting for the client, because too many lingered, or too many were refused at a time."`
	Panics    T `metric:"roost_panics_total" help:"Connections closed because serving them failed."`
}

// Metrics describes the counters that Stats.Metrics has.
func Metrics() []metric.Desc { return metric.Descs(Counters[int]{}) }

// Metrics returns the values of the counters that Metrics describes.
func (s Stats) Metrics() []metric.Value { return metric.Values(s.Counters) }

// loopStats is what one loop counts. The loop writes, as does Deliver what comes too late; any goroutine reads.
type loopStats struct {
	Counters[atomic.Int64]

	sockets      atomic.Int64  // client sockets in every state
	opened       atomic.Uint64 // connections that got their 101
	sent         atomic.Uint64 // notifications whose last byte the kernel has taken
	failed       [failureCount]atomic.Uint64
	refused      [handshake.RefusalReasonCount]atomic.Uint64
	ended        [reasonCount]atomic.Uint64  // connections that had got their 101
	closeCodes   [closeClasses]atomic.Uint64 // the same, by close code
	unacked      [reasonCount]atomic.Uint64  // notifications in sent that the client had not acknowledged when it ended
	unackedBytes [reasonCount]atomic.Uint64  // of all that was written

	renewals [renewalResults]atomic.Uint64 // tokens that clients have sent on open connections

	handedOver atomic.Uint64 // notifications that waited for connections which another process has now
	takenOver  atomic.Uint64 // notifications that waited for connections when they were taken over: they count as accepted

	stalled         atomic.Int64 // connections that the kernel takes no more for
	partialRequests atomic.Int64 // connections with a part of their request head
	closing         atomic.Int64 // connections that are closing or lingering
	pendingRank     atomic.Int32 // rank of the source with the most pending handshakes
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
// At every instant Accepted = Sent + the sum of Failed + Waiting + HandedOverNotifications.
type Stats struct {
	Counters[int]

	Loops         int
	Sockets       int    // client sockets now, in every state
	SocketsOpened uint64 // sockets accepted
	AcceptErrors  uint64
	Unanswered    map[string]uint64 // sockets closed without an answer, by reason

	Opened  uint64            // handshakes that ended with a 101
	Refused map[string]uint64 // handshakes refused, by reason
	Ended   map[string]uint64 // connections that ended, by reason
	Closed  map[string]uint64 // the same, by the close code they were told; 1006 without a close frame

	Renewals map[string]uint64 // tokens that clients have sent on an open connection, by result: "renewed", or why not

	Accepted uint64            // notification × connection: taken for delivery, or taken over
	Sent     uint64            // the kernel has taken the last byte
	Failed   map[string]uint64 // will never be sent, by reason
	Waiting  uint64            // in a loop's mailbox or a connection's send queue

	// HandedOverNotifications were given to another process with their connections, which counts them as accepted.
	HandedOverNotifications uint64

	// Of what was in Sent for a connection, this was not acknowledged by its client when it ended, by the
	// reason. It may have arrived, but most of the time has not. Unacked are the notifications, as far
	// back as the loop's log of what was sent goes: in a minute with more than 131,072 for a loop not
	// all. UnackedBytes are everything that was written, control frames too.
	Unacked, UnackedBytes map[string]uint64

	TLSHandshakes  map[TLSHandshake]uint64 // TLS handshakes that ended well
	TLSFailures    map[TLSFailure]uint64   // connections that ended with a fatal TLS alert
	TLSConnections map[string]int          // sockets whose TLS handshake is done, now, by version
	TLSTimes       Histogram               // of TLSHandshakes, from accept, to the millisecond

	// Delays are of the notifications in Sent, from when the feed has read them until
	// the kernel has taken their last byte. Handshakes are of the connections in
	// Opened, from accept until the 101, to the millisecond: what the client took to
	// ask is in them, and what waited for the loop and for the feed.
	Delays, Handshakes Histogram

	Busy        []time.Duration // that each loop was not asleep
	Mailbox     []int           // items that wait for each loop
	Queued      int             // notification × connection in the send queues of stalled connections
	QueuedBytes int             // the memory of these notifications, each once
	Stalled     int             // connections that the kernel takes nothing for now
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
		Renewals:      make(map[string]uint64, renewalResults),
	}
	sum.TLSHandshakes, sum.TLSFailures = s.tls.handshakes.copy(), s.tls.failures.copy()
	for i := range s.accepts.unanswered {
		sum.Unanswered[unansweredNames[i]] = s.accepts.unanswered[i].Load()
	}
	for _, l := range s.loops {
		l.addTo(&sum)
	}
	sum.TLSConnections = map[string]int{versionName(tls.VersionTLS13): sum.TLS13, versionName(tls.VersionTLS12): sum.TLS12}
	return sum
}

// addTo adds one loop's numbers. The counts of sent and failed are read before that of accepted, so that the difference,
// those that wait, is never below zero.
func (l *loop) addTo(sum *Stats) {
	st := &l.stats
	out := st.sent.Load()
	sum.Sent += out
	for i := range st.failed {
		n := st.failed[i].Load()
		sum.Failed[failureNames[i]] += n
		out += n
	}
	handed := st.handedOver.Load()
	sum.HandedOverNotifications += handed
	out += handed
	depth, pushed := l.mail.Depth()
	pushed += uint64(st.Replayed.Load()) + st.takenOver.Load()
	sum.Accepted += pushed
	sum.Waiting += pushed - out
	sum.Mailbox = append(sum.Mailbox, depth)

	for i := range st.refused {
		sum.Refused[handshake.RefusalReason(i).String()] += st.refused[i].Load()
	}
	for i := range st.renewals {
		sum.Renewals[renewalNames[i]] += st.renewals[i].Load()
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
	l.tlsHandshakes.AddTo(&sum.TLSTimes)
	sum.Busy = append(sum.Busy, l.busy.Total(l.server.now))
	sum.Opened += st.opened.Load()
	sum.Stalled += int(st.stalled.Load())
	metric.Add(&sum.Counters, &st.Counters)
}
