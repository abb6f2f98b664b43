package sizing

const (
	// ownMemory is Roost's memory, in bytes, with no client: 18 MiB of RSS (Memory,
	// idle connections), and stacks and buffers of the runtime.
	ownMemory = 24 << 20

	// perLoop is what one event loop may hold beside its connections, in bytes: a
	// mailbox of 16 MiB, and the log of what was sent, 131,072 entries of 12 bytes.
	perLoop = 18 << 20

	// fixed is what has a bound that no variable changes, in bytes: addresses that
	// are remembered for the limits on handshakes and on checks, names of keys, the
	// buffer of the log, and 64 requests to the admin server.
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
	Loops          int
	QueueBytes     int // WS_QUEUE_BYTES
	QueuedBytes    int // WS_MAX_QUEUED_BYTES; 0: no limit
	PendingBytes   int // WS_MAX_PENDING_BYTES; 0: no limit
	BroadcastBytes int // WS_MAX_BROADCAST_BYTES
	ResumeBytes    int // WS_RESUME_BYTES; 0: clients can't resume
	WebhookBytes   int // WEBHOOK_QUEUE_BYTES; 0: there is no webhook
	WriteBuffer    int // WS_WRITE_BUFFER_SIZE
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
	queued := uint64(b.QueuedBytes)
	if most := uint64(r.Connections) * uint64(b.QueueBytes); queued == 0 || queued > most {
		queued = most
	}
	pending := uint64(r.Sockets) * PerPending
	if b.PendingBytes > 0 {
		pending = min(pending, uint64(b.PendingBytes))
	}
	buffers := uint64(r.Sockets) * uint64(onItsWay+max(b.WriteBuffer, leastUnsent))
	if r.TCPMemory > 0 {
		buffers = min(buffers, r.TCPMemory)
	}
	parts := []Part{
		{"waiting for slow clients", "WS_MAX_QUEUED_BYTES", queued, User},
		{"pending handshakes", "WS_MAX_PENDING_BYTES", pending, User},
		{"broadcasts", "WS_MAX_BROADCAST_BYTES", uint64(b.BroadcastBytes), User},
		{"event loops", "GOMAXPROCS", uint64(b.Loops) * perLoop, User},
		{"connections", "WS_MAX_CONNECTIONS", uint64(r.Sockets) * PerConnection, User},
		{"tables and buffers", "-", fixed, User},
	}
	if b.WebhookBytes > 0 {
		parts = append(parts, Part{"events for the webhook", "WEBHOOK_QUEUE_BYTES", uint64(b.WebhookBytes), User})
	}
	w := Worst{Descriptors: r.Reserved + r.Sockets, Parts: parts}
	w.Parts = append(w.Parts,
		Part{garbage, "GOMEMLIMIT", w.Of(User) / garbageShare, User},
		Part{"Roost itself", "-", ownMemory, User},
		Part{"sockets", "WS_MAX_CONNECTIONS", uint64(r.Sockets) * KernelPerConnection, Sockets},
		Part{"socket buffers", "net.ipv4.tcp_mem", buffers, Buffers})
	if b.ResumeBytes > 0 {
		w.Parts = append(w.Parts, Part{"what clients can resume", "WS_RESUME_BYTES", uint64(b.ResumeBytes), Mapped})
	}
	w.Bytes = w.Of(User) + w.Of(Mapped) + w.Of(Sockets) + w.Of(Buffers)
	return w
}

// Of is an owner's part of the memory, in bytes.
func (w Worst) Of(owner Owner) (sum uint64) {
	for _, p := range w.Parts {
		if p.Owner == owner {
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
