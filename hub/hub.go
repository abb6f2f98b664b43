package hub

import (
	"errors"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"roost/internal/wirecodec"
	"roost/wsproto"
)

// The errors of Admit when there is no room.
var (
	// ErrFull: Limits.MaxConnections are admitted already.
	ErrFull = errors.New("hub: the limit of connections is reached")
	// ErrUserFull: the user has Limits.MaxPerUser already.
	ErrUserFull = errors.New("hub: the limit of connections of one user is reached")
	// ErrBehind: the client was on an instance that heard more than this one has by now. It may come again in a moment.
	ErrBehind = errors.New("hub: the position is ahead of what was heard here")
)

// Conn is one open connection, as far as the hub is concerned.
type Conn interface {
	// HubLink returns the hub's own part of the connection. It must always
	// return the same pointer, and only the hub looks inside.
	HubLink() *Link

	// Deliver puts a notification on the queue of the connection's loop. It is
	// called without locks, from the goroutine that called Hub.Deliver or
	// Hub.RunBroadcasts, and may wait for room in that queue. The connection may be closed by then: it
	// counts what it can't send. With Config.Resume n may be a loss (Notification.Lost).
	Deliver(n *Notification)

	// Missed tells the connection that notifications for it were dropped before Deliver, none of which was
	// published before since (Config.GapNotice). It is called without locks, from the goroutine that called Hub.RunBroadcasts,
	// and must not wait.
	Missed(since time.Time)

	// Replaced tells the connection to end: its user has opened a newer one, and
	// may have no more (Limits.ReplaceOldest). It is not admitted any longer. It
	// is called without locks, from the goroutine that called Admit, and must
	// not wait.
	Replaced()

	// Disconnect tells the connection to end with a close frame of code and
	// reason, behind what was delivered to it: that is everything up to the position id, where
	// that is not "". It is not admitted any longer,
	// and may be closed by then. It is called without locks, from the goroutine
	// that called Hub.Control, and must not wait.
	Disconnect(code wsproto.CloseCode, reason, id string)
}

// Notification is one message on its way to the connections of a user, or to some of those of a broadcast. It is
// built once and shared by all of them; nobody changes it afterwards.
type Notification struct {
	// Frame is a complete WebSocket text frame that carries the envelope; of what EventStream returns, an event.
	Frame []byte

	// Arrived is when it came from Redis, by Hub.Clock; of a broadcast, when its turn came at these connections.
	Arrived time.Duration

	// After is a time after which it was published, in Unix milliseconds; 0: it is not known. A client's gap begins there.
	After int64

	// Trace is told what becomes of it, once for each connection. It may be nil.
	Trace *Trace

	// Lost says, where Frame is nil, that this is no notification: others that were published after After were lost, and the
	// client is to be told here. Only with Config.Resume.
	Lost Loss

	held   atomic.Int32           // in how many places it waits, see Hold
	shared atomic.Pointer[shared] // nil: it shares nothing
}

// Loss is why notifications were lost.
type Loss uint8

// The reasons for a loss.
const (
	NotLost       Loss = iota
	LostBroadcast      // too many broadcasts waited
	LostFeed           // the link to Redis was lost
)

// Limits are what may change while there are connections (see [Hub.SetLimits]). The zero value is none.
type Limits struct {
	// MaxConnections bounds the connections of all users together; 0 is no bound.
	MaxConnections int

	// MaxPerUser bounds the connections of one user; 0 is no bound. A connection
	// beyond it is refused with ErrUserFull, or, with ReplaceOldest, takes the
	// place of the user's oldest.
	MaxPerUser    int
	ReplaceOldest bool

	// MaxNotification bounds, in bytes, what a backend may publish as one
	// notification; 0 is no bound. Larger ones are counted as InvalidTooBig and
	// left out.
	MaxNotification int

	// MaxBroadcastBytes bounds, in bytes, what waits of notifications for everyone and for groups; an eighth of it is the
	// bound of one group. Beyond it the oldest are dropped. 0 is 32 MiB.
	MaxBroadcastBytes int
}

// Config is what a Hub can be told. Its zero value is a hub without a limit.
type Config struct {
	Limits // at the start

	// TrackPresence keeps a mark for each user whose first connection came or
	// whose last one went, for TakeChanged. Leave it off where nobody takes
	// the marks: they'd pile up, one for each user ever seen.
	TrackPresence bool

	// Resume lets clients that were away for a short time get what they missed. It implies GapNotice.
	Resume Resume

	// GapNotice has the connections told (Conn.Missed) when a broadcast that was for them is dropped.
	GapNotice bool

	// Logger gets a line, at a bounded rate, about notifications that can't be
	// used. Nil is slog.Default().
	Logger *slog.Logger

	// Now is the clock of envelopes' timestamps. Nil is time.Now.
	Now func() time.Time
}

// Hub is the registry of users and the way to their connections.
type Hub struct {
	cfg     Config // static; its Limits are those of the start
	seed    maphash.Seed
	limits  atomic.Pointer[Limits] // replaced whole; any goroutine
	started time.Time              // static: what Clock counts from
	arrived atomic.Int64           // by Clock, when the batch came that is delivered now; 0: not known
	after   atomic.Int64           // Unix milliseconds after which that was published; 0: not known
	shards  [shardCount]shard
	groups  groupRegistry

	// hearing is held from when a broadcast is counted until it waits for its turn, and while a renewal changes groups: one in between
	// would take what does not wait yet for what the connection has had. It is locked before turn, and before stream.order.mu.
	hearing sync.Mutex
	// turn is held, without Config.Resume, while a broadcast has its turn, and while a command changes groups. Mailboxes may have
	// to be waited for meanwhile: loops never take it.
	turn sync.Mutex

	groupNumber atomic.Uint64 // the number of the latest notification for a group that has members; the goroutine that calls Deliver writes

	connections atomic.Int64
	users       atomic.Int64
	stats       counters
	invalidLog  *invalidLog
	commandLog  *invalidLog // its own, as the next, so that no flood hides the others
	faultLog    *invalidLog
	dropLog     *invalidLog
	stamper     stamper
	spareBatch  spareBatch
	watches     watches

	stream          *stream // nil without Config.Resume
	broadcasts      broadcastQueue
	broadcastsEnded chan struct{} // closed when RunBroadcasts returns
	broadcastsCut   atomic.Bool   // broadcasts that are not delivered yet are to be dropped; any goroutine

	changed chan struct{} // holds one token while marks wait to be taken

	imported wirecodec.Pieces // of another process's hub, until FinishImport
}

// New returns an empty hub.
func New(cfg Config) *Hub {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	h := &Hub{cfg: cfg, seed: maphash.MakeSeed(), changed: make(chan struct{}, 1), started: time.Now(),
		broadcastsEnded: make(chan struct{})}
	h.invalidLog = newInvalidLog(cfg.Logger)
	h.commandLog = newInvalidLog(cfg.Logger)
	h.faultLog = newInvalidLog(cfg.Logger)
	h.dropLog = newInvalidLog(cfg.Logger)
	h.groups.seed = h.seed
	h.stream = newStream(cfg)
	h.broadcasts.init(cfg.GapNotice || h.stream != nil)
	h.SetLimits(cfg.Limits)
	for i := range h.shards {
		h.shards[i].groups = &h.groups
		if cfg.TrackPresence {
			h.shards[i].dirty = make(map[string]bool)
		}
	}
	return h
}

// Admit registers a connection of user, or refuses it with ErrFull or
// ErrUserFull. The checks and the entry are one step: of two connections that
// want the last place, one gets it. On success it returns how many connections there are now, in all and
// of this user. The caller admits a connection once, on its own loop, and hands
// a string that it does not change afterwards. From then on, until it is taken out again, the connection is in
// groups, none of which may be named twice.
//
// A connection that takes the place of another (Limits.ReplaceOldest) needs no room: it
// is never refused with ErrFull.
func (h *Hub) Admit(c Conn, user string, groups ...string) (total, ofUser int, err error) {
	entry := h.enter(c, Arrival{User: user, Groups: groups}, 0)
	h.entered(entry)
	return entry.total, entry.ofUser, entry.err
}

// Replace is Admit for a connection that may only take the place of another one, and of
// that only if may says so: else it is refused with ErrUserFull, or ErrFull. may is called with the
// oldest connection of the user, and a lock of the hub's held: it must not call the hub.
func (h *Hub) Replace(c Conn, user string, may func(oldest Conn) bool, groups ...string) (total, ofUser int, err error) {
	entry := h.enter(c, Arrival{User: user, Groups: groups, Replaces: may}, 0)
	h.entered(entry)
	return entry.total, entry.ofUser, entry.err
}

// entered is what enter did.
type entered struct {
	total, ofUser int
	err           error
	replaced      Conn // to be told; or nil
	marked        bool // presence has to be announced
}

// enter registers a connection, or says why not. entered tells others of it. mark is the ordinal up to which the connection has
// had all broadcasts.
func (h *Hub) enter(c Conn, a Arrival, mark uint32) (e entered) {
	hash, limits, may := h.hash(a.User), h.limits.Load(), a.Replaces
	shard := h.shard(hash)
	link := Link{user: a.User, mark: mark}
	if IsProbe(a.User) {
		_ = shard.add(c, link, hash, limits, nil, nil)
		return entered{total: h.Connections(), ofUser: 1}
	}
	e.total = int(h.connections.Add(1))
	full := limits.MaxConnections > 0 && e.total > limits.MaxConnections
	if full && may == nil {
		may = func(Conn) bool { return true }
	}
	in := shard.add(c, link, hash, limits, may, a.Groups)
	e.ofUser, e.replaced, e.marked = in.ofUser, in.replaced, in.marked
	switch {
	case in.refused && full:
		h.connections.Add(-1)
		return entered{err: ErrFull}
	case in.refused:
		h.connections.Add(-1)
		return entered{err: ErrUserFull}
	case in.replaced != nil:
		e.total = int(h.connections.Add(-1))
	case in.first:
		h.users.Add(1)
	}
	return e
}

// entered tells others of a connection that was registered. It is called without locks.
func (h *Hub) entered(e entered) {
	if e.replaced != nil {
		e.replaced.Replaced()
	}
	h.announce(e.marked)
}

// Remove takes an admitted connection out again, and returns how many are left,
// in all and of its user. Removing one that is not admitted does nothing. The
// connection's own loop calls it, and Control.
func (h *Hub) Remove(c Conn) (total, ofUser int) {
	total, ofUser = h.remove(c)
	if s := h.stream; s.isPartial(c.HubLink()) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.setPartial(c.HubLink(), false)
	}
	return total, ofUser
}

// remove is Remove for a caller that may hold stream.mu, and calls setPartial.
func (h *Hub) remove(c Conn) (total, ofUser int) {
	link := c.HubLink()
	hash := h.hash(link.user)
	ofUser, marked, was := h.shard(hash).remove(link, hash, h.limits.Load().ReplaceOldest)
	if !was || IsProbe(link.user) {
		return h.Connections(), ofUser
	}
	total = int(h.connections.Add(-1))
	if ofUser == 0 {
		h.users.Add(-1)
	}
	h.announce(marked)
	return total, ofUser
}

// Connections returns how many connections are admitted. Any goroutine.
func (h *Hub) Connections() int { return int(h.connections.Load()) }

// Full reports whether Admit would refuse a connection of user with ErrFull now. Any goroutine.
func (h *Hub) Full(user string) bool {
	limit := h.limits.Load().MaxConnections
	return limit > 0 && h.Connections() >= limit && !h.Replaces(user)
}

// Replaces reports whether Admit would have a connection of user take the place of another one now. Any goroutine.
func (h *Hub) Replaces(user string) bool {
	return h.ReplacesOldest() && h.ConnectionsOf(user) >= h.limits.Load().MaxPerUser
}

// ReplacesOldest reports whether Admit has connections take the place of others at all. Any goroutine.
func (h *Hub) ReplacesOldest() bool {
	limits := h.limits.Load()
	return limits.ReplaceOldest && limits.MaxPerUser > 0
}

// Users returns how many users have at least one connection. Any goroutine.
func (h *Hub) Users() int { return int(h.users.Load()) }

// ConnectionsOf returns how many connections user has. Any goroutine.
func (h *Hub) ConnectionsOf(user string) int {
	hash := h.hash(user)
	return h.shard(hash).count(user, hash)
}

// IsProbe reports whether user is an identity that no token can carry: those
// of the server's own health checks begin with a control character, which a
// token's subject can't contain. They are outside limits, counts and logs.
func IsProbe(user string) bool { return len(user) > 0 && user[0] < ' ' }

// hash is all that the registry needs of a user's name to find the shard and,
// in there, the slot. Half of a 64-bit hash is enough for that.
func (h *Hub) hash(user string) uint32 { return uint32(maphash.String(h.seed, user)) }

func (h *Hub) shard(hash uint32) *shard { return &h.shards[hash%shardCount] }
