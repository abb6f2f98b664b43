package httpapi

import (
	"time"

	"roost/internal/metric"
)

// Stats is one reading of all counters and gauges, taken by cmd/roost from the packages. Counters are since the start of
// the process. Maps go by reason and should hold every reason, at 0 too, so that a rate over it exists from the start.
//
// DeliveriesAccepted is DeliveriesSent, all of DeliveriesFailed and DeliveriesWaiting together, at every instant.
type Stats struct {
	Connections int // open now
	Users       int // with an open connection now

	ConnectionsAccepted uint64            // admitted: they got their 101
	ConnectionsRefused  map[string]uint64 // by the reason in the answer
	TokenRenewals       map[string]uint64 // tokens that clients sent on an open connection, by result
	ConnectionsClosed   map[string]uint64 // by why they ended
	ClosedByCode        map[string]uint64 // the same, by the close code, of which there must be few
	ConnectionsLimit    int               // that may be open at once
	HandshakeTimes      Histogram         // of ConnectionsAccepted: from accept to the 101

	NotificationsReceived uint64            // from Redis, for a user, whatever became of them
	NotificationsOffline  uint64            // for a user without a connection here
	NotificationsUnnamed  uint64            // of these: for none of the user's connections here
	NotificationsInvalid  map[string]uint64 // by what was wrong with the payload

	Commands        uint64            // from Redis, about users' connections: done
	CommandsInvalid uint64            // skipped for their content
	GroupChanges    map[string]uint64 // connections × groups, by what became of them

	Broadcasts         uint64 // from Redis, for everyone
	GroupNotifications uint64 // from Redis, for a group
	GroupsOffline      uint64 // of these: nobody here is in the group
	BroadcastsWaiting  int    // of both: not handed to all connections yet
	BroadcastBytes     int    // that these take

	BroadcastsDropped map[string]uint64 // of both, by why they did not reach all connections
	BroadcastTime     time.Duration     // that those of both took which are done, together

	ResumeWindow       time.Duration     // how far back a client can resume now
	ResumeWindowWanted time.Duration     // how far it should; 0: clients can't resume
	ResumeBytes        int               // that what can be replayed takes
	ResumeRoom         int               // that it may take
	Resumes            map[string]uint64 // clients that came back, by result
	ReplaysSkipped     map[string]uint64 // by reason

	DeliveriesAccepted uint64            // a notification for one connection
	DeliveriesSent     uint64            // the kernel took the last byte
	DeliveriesFailed   map[string]uint64 // by reason
	DeliveriesWaiting  int               // now
	DeliveryTimes      Histogram         // of DeliveriesSent: from Redis to the kernel's taking of the last byte

	DeliveriesUnacked map[string]uint64 // of DeliveriesSent: not acknowledged by the client when its connection ended, by why it did
	BytesUnacked      map[string]uint64 // the same of everything that was sent

	Sockets      int    // of clients, in every state
	AcceptErrors uint64 // accept failed and was tried again
	QueuedBytes  int    // memory of what waits for clients that the kernel takes nothing for
	Stalled      int    // connections that the kernel takes nothing for

	MailboxItems []int           // that wait, a loop
	LoopBusy     []time.Duration // not asleep, a loop
	FeedBusy     time.Duration   // not waiting for Redis

	RedisConnected  bool
	RedisPing       time.Duration // last round trip
	RedisReconnects uint64
	RedisGaps       uint64            // times at which notifications may have been missed
	FeedUsers       map[string]uint64 // users by how far the subscription to each is; nil where one subscription hears everybody

	PresenceWrites     map[string]uint64 // users written to Redis, by result; nil without presence
	PresencePending    int               // users to write
	PresenceFailingFor time.Duration     // since when they can't be; 0 while they can

	WebhookEvents     map[string]uint64 // by what became of them; nil without a webhook, as the next
	WebhookRequests   map[string]uint64 // by result
	WebhookReported   uint64            // users of dead instances
	WebhookWaiting    int               // events
	WebhookBytes      int               // that these take
	WebhookFailingFor time.Duration     // since when no request was taken; 0 while they are

	JWKSKeys      int               // public keys from the JWKS
	JWKSLeftOut   int               // that the JWKS has and that can't be used
	JWKSRefreshes map[string]uint64 // fetches of the JWKS, by result; nil without one
	ConfigReloads map[string]uint64 // times that the configuration was read again, by result
	Upgrades      map[string]uint64 // how this process began, and what became of upgrades of it, by result

	// Of the port for wss://; nil without it.
	TLSConnections map[string]uint64 // by version of TLS, now
	TLSHandshakes  map[TLSHandshake]uint64
	TLSFailures    map[TLSFailure]uint64
	TLSTimes       Histogram // of TLSHandshakes, from accept

	CertificateExpires map[string]time.Duration // until it does, by port, "websocket" or "http"; nil without TLS
	CertificateReloads map[string]uint64        // looks at changed files of certificates, by result; nil without TLS

	LogLinesDropped uint64
	AlertsDropped   uint64

	// Counters are the values of Config.Counters, in any order. A package that describes its counters itself needs no
	// field here.
	Counters []metric.Value

	AdminConnections int    // to the admin server; set by it, as the next
	AdminEvicted     uint64 // of these: closed for others

	PublishRequests   map[string]uint64 // to /publish, by status; nil without it. Set by the admin server, as the next
	PublishedOverHTTP map[string]uint64 // of these: what was published, by kind
	PublishRepeats    uint64            // of these: requests with an idempotency key that had come before
}

// Counter returns the value of one of Counters, by the name of its metric; 0 if there is none.
func (s *Stats) Counter(name string) int64 {
	for _, v := range s.Counters {
		if v.Name == name {
			return v.Value
		}
	}
	return 0
}

// TLSHandshake is a kind of TLS handshakes.
type TLSHandshake struct {
	Version, Suite string
	Resumed        bool // by a session ticket
}

// TLSFailure is a kind of TLS connections that ended with a fatal alert.
type TLSFailure struct {
	Alert string
	From  string // server or client
}
