package sizing

const (
	// ownMemory is Roost's memory, in bytes, with no client: 18 MiB of RSS (Memory,
	// idle connections), and stacks and buffers of the runtime.
	ownMemory = 24 << 20

	// perLoop is what one event loop may hold beside its connections, in bytes: a
	// mailbox of 16 MiB and as much that was taken out of it and is being delivered, the
	// log of what was sent, 131,072 entries of 12 bytes, ciphers and buffers.
	perLoop = 35 << 20

	// perBusy is what a connection may have beside PerConnection when it is not idle,
	// in bytes: 208 in the middle of a frame or a record, 480 of a send queue, 40 for
	// the inbound rate limit, and a user's name of 255.
	perBusy = 1 << 10

	// perHeavy is what crypto/tls has of a connection of TLS 1.2 that has sent a long
	// record, in bytes.
	perHeavy = 26 << 10

	// perUnfinished is what may be kept of a TLS record and of a message with a new token
	// whose rest has not come, in bytes, of one connection.
	perUnfinished = 28 << 10

	// perRenewal is a new token that is checked, in bytes, and renewals are how many
	// may wait for that.
	perRenewal = 9 << 10
	renewals   = 8192

	// leastShare is what a loop may keep of each kind of pending bytes at least, however
	// few WS_MAX_PENDING_BYTES are.
	leastShare = 128 << 10

	// perBurst is what is remembered of addresses, in bytes, for each handshake of
	// WS_HANDSHAKE_BURST: three entries of 32 bytes in each of three buckets.
	perBurst = 3 * 3 * 32

	// perPublish is a request to /publish, in bytes: a body of 1 MiB, the same
	// with a traceparent in each notification, and the commands made of it.
	// publishes are how many there are at once.
	perPublish = 4 << 20
	publishes  = 16

	// perRedisConn is the buffers of a connection to Redis, in bytes.
	perRedisConn = 64 << 10

	// perFollowed is what is remembered of a user in addition, in bytes, for presence or
	// for a subscription of its own: 250 were measured (scaling.md), and a name of 255.
	perFollowed = 512

	// perGone is a user who has gone and whose events the webhook has not settled, in
	// bytes: 24 in a list that may be half empty, and a name of 255. rememberedGone is how many
	// presence remembers.
	perGone        = 320
	rememberedGone = 100_000

	// fixed is what has a bound that no variable changes, in bytes: addresses that
	// are remembered for the limit on checks, names of keys, lines for the log and for
	// Discord, and 64 requests to the admin server.
	fixed = 12 << 20

	// garbageShare is which part of what may be in use is added for garbage. In a
	// control group GOMEMLIMIT keeps it so. Send queues, the largest part, are counted
	// with what the allocator rounds up.
	garbageShare = 8

	// onItsWay is what the kernel keeps for a client that acknowledges nothing, in
	// bytes, beside what is not sent yet: 96 KiB with the default of that was the
	// most that was measured (kernel memory of a stalled client), and a socket that
	// Roost does not read has no more in its receive buffer.
	onItsWay = 96 << 10

	// leastUnsent is TCP_NOTSENT_LOWAT at least, in bytes.
	leastUnsent = 32 << 10
)

// Bounds are the settings that bound memory.
type Bounds struct {
	Loops             int
	QueueBytes        int  // WS_QUEUE_BYTES
	QueuedBytes       int  // WS_MAX_QUEUED_BYTES; 0: no limit
	NotificationBytes int  // WS_MAX_NOTIFICATION_SIZE; 0: no limit, and not counted
	PendingBytes      int  // WS_MAX_PENDING_BYTES; 0: no limit
	HandshakeBurst    int  // WS_HANDSHAKE_BURST; 0: no limit, and nothing is remembered for it
	BroadcastBytes    int  // WS_MAX_BROADCAST_BYTES
	ResumeBytes       int  // WS_RESUME_BYTES; 0: clients can't resume
	WebhookBytes      int  // WEBHOOK_QUEUE_BYTES; 0: there is no webhook
	WriteBuffer       int  // WS_WRITE_BUFFER_SIZE
	RedisConns        int  // REDIS_POOL_SIZE
	Publishes         bool // /publish is served
	OldTLS            bool // clients may come with TLS 1.2
	Followed          bool // users are followed one by one: REDIS_PRESENCE, or REDIS_FEED is user or sharded
	Gone              int  // users who may still be followed after they have gone
}

// Room is for how many clients there is room.
type Room struct {
	Connections int
	Sockets     int    // of clients, in every state
	Reserved    int    // descriptors for all else
	TCPMemory   uint64 // what the kernel gives all TCP sockets, in bytes; 0: not known
}

// Worst is what a process may have when all that its settings bound is full at the
// same time.
type Worst struct {
	Bytes       uint64 `json:"bytes"` // of all Parts
	Descriptors int    `json:"descriptors"`
	Parts       []Part `json:"parts"`
}

// Part is one of the things that may be full.
type Part struct {
	Name   string `json:"name"`
	Source string `json:"source"` // the setting that bounds it
	Bytes  uint64 `json:"bytes"`
	Owner  Owner  `json:"owner"`
}

// Owner says whose memory it is.
type Owner string

const (
	User    Owner = "user"    // the process's own
	Mapped  Owner = "mapped"  // the process's own, outside of Go's heap
	Sockets Owner = "sockets" // the kernel's structures, which every control group is charged for
	Buffers Owner = "buffers" // the kernel's for bytes on their way, which version 1 of control groups counts apart
)

const garbage = "garbage"

// WorstCase adds up what is bounded.
func WorstCase(b Bounds, r Room) Worst {
	w := Worst{Descriptors: r.Reserved + r.Sockets}
	add := func(owner Owner, name, source string, bytes uint64) {
		if bytes > 0 {
			w.Parts = append(w.Parts, Part{name, source, bytes, owner})
		}
	}
	connections, sockets := uint64(r.Connections), uint64(r.Sockets)

	queued := b.queued(r)
	add(User, "waiting for slow clients", "WS_MAX_QUEUED_BYTES", queued)
	add(User, "one notification more for each client", "WS_MAX_NOTIFICATION_SIZE", less(connections*b.notification(), queued))
	add(User, "pending handshakes", "WS_MAX_PENDING_BYTES", b.pending(sockets*PerPending))
	add(User, "unfinished records and messages", "WS_MAX_PENDING_BYTES", b.pending(sockets*perUnfinished))
	add(User, "new tokens that are checked", "WS_MAX_PENDING_BYTES", b.pending(min(connections, renewals)*perRenewal))
	add(User, "broadcasts", "WS_MAX_BROADCAST_BYTES", uint64(b.BroadcastBytes))
	add(User, "event loops", "GOMAXPROCS", uint64(b.Loops)*perLoop)
	add(User, "connections", "WS_MAX_CONNECTIONS", sockets*(PerConnection+perBusy))
	if b.OldTLS {
		add(User, "TLS 1.2", "WS_TLS_MIN_VERSION", sockets*perHeavy)
	}
	if b.Followed {
		add(User, "users, present or subscribed", "WS_HANDSHAKE_RATE", (connections+uint64(b.Gone))*perFollowed)
	}
	add(User, "addresses", "WS_HANDSHAKE_BURST", uint64(b.HandshakeBurst)*perBurst)
	add(User, "events for the webhook", "WEBHOOK_QUEUE_BYTES", uint64(b.WebhookBytes))
	if b.WebhookBytes > 0 {
		add(User, "users who have gone, for the webhook", "-", rememberedGone*perGone)
	}
	if b.Publishes {
		add(User, "requests to /publish", "-", publishes*perPublish)
	}
	add(User, "connections to Redis", "REDIS_POOL_SIZE", uint64(b.RedisConns)*perRedisConn)
	add(User, "tables and buffers", "-", fixed)

	add(User, garbage, "GOMEMLIMIT", w.Of(User)/garbageShare)
	add(User, "Roost itself", "-", ownMemory)
	add(Sockets, "sockets", "WS_MAX_CONNECTIONS", sockets*KernelPerConnection)
	add(Buffers, "socket buffers", "net.ipv4.tcp_mem", b.buffers(r))
	add(Mapped, "what clients can resume", "WS_RESUME_BYTES", uint64(b.ResumeBytes))
	w.Bytes = w.Of(User) + w.Of(Mapped) + w.Of(Sockets) + w.Of(Buffers)
	return w
}

// queued is what may wait for all clients, but for the one notification that each keeps.
func (b Bounds) queued(r Room) uint64 {
	most := uint64(r.Connections) * uint64(b.QueueBytes)
	if b.QueuedBytes == 0 {
		return most
	}
	return min(most, uint64(b.QueuedBytes))
}

// notification is the largest that can wait: with its envelope, and what the allocator gives in addition.
func (b Bounds) notification() uint64 {
	if b.NotificationBytes == 0 {
		return 0
	}
	return uint64(b.NotificationBytes)*9/8 + 512
}

// pending is one of the kinds of bytes that WS_MAX_PENDING_BYTES bounds, each by itself. most is what there can be of it without.
func (b Bounds) pending(most uint64) uint64 {
	if b.PendingBytes == 0 {
		return most
	}
	return min(most, uint64(max(b.PendingBytes, b.Loops*leastShare)))
}

func (b Bounds) buffers(r Room) uint64 {
	bytes := uint64(r.Sockets) * uint64(onItsWay+max(b.WriteBuffer, leastUnsent))
	if r.TCPMemory > 0 {
		return min(bytes, r.TCPMemory)
	}
	return bytes
}

// less is a-b, and 0 where that is negative.
func less(a, b uint64) uint64 { return a - min(a, b) }

// Of is an owner's part of the memory, in bytes.
func (w Worst) Of(owner Owner) (sum uint64) {
	for _, p := range w.Parts {
		if p.Owner == owner {
			sum += p.Bytes
		}
	}
	return sum
}

// From is what one setting bounds, in bytes.
func (w Worst) From(source string) (sum uint64) {
	for _, p := range w.Parts {
		if p.Source == source {
			sum += p.Bytes
		}
	}
	return sum
}

// Live is what of the process's own memory is in use, garbage left out, in bytes.
func (w Worst) Live() uint64 {
	live := w.Of(User)
	for _, p := range w.Parts {
		if p.Name == garbage {
			live -= p.Bytes
		}
	}
	return live
}
