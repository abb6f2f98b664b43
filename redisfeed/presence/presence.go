package presence

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"roost/internal/loglimit"
	"roost/internal/shrinkmap"
	"roost/redisfeed/internal/pool"
	"roost/redisfeed/publish"
)

const (
	// OnlinePrefix and the user make the name of the key in which Redis has who serves the user: a sorted set whose
	// members are instances and whose scores say, in Unix milliseconds of Redis's clock, until when that counts. The key
	// expires with the last of them. It is there while the user is online.
	OnlinePrefix = "user_online:"

	// PresenceChannel is where each change is published: {"user":"alice","online":true}. A change is that of all
	// instances together, not of one of them, nor of a connection.
	PresenceChannel = "user_presence"
)

const (
	// window is how long marks are gathered, from the first on.
	window = 100 * time.Millisecond
	// batchSize is how many users are written in one round trip. Redis reads 16 KiB of a client at a time, which is a
	// quarter of it, and serves the others in between.
	batchSize = 500
	// answerLimit is how long Redis has to answer to a batch, but in tests that are not about that.
	answerLimit = 3 * time.Second
	// retryPause passes before what could not be written is tried again.
	retryPause = time.Second
	// leaveLimit is how long it may take to take all users out at the end, likewise.
	leaveLimit = 5 * time.Second
)

// Registry knows which users are connected here. Its methods may be called by any goroutine, and wait for nothing.
type Registry interface {
	// Changed returns a channel that holds a token while TakeChanged may have something.
	Changed() <-chan struct{}

	// TakeChanged calls each for the users whose first connection came, or whose last one went, since the last call; was
	// says whether they were connected then.
	TakeChanged(each func(user string, was bool))

	// ConnectionsOf is how many connections a user has.
	ConnectionsOf(user string) int

	// Shards is how many parts the users are in.
	Shards() int

	// AppendUsers appends the users in a part, from 0 to Shards()-1.
	AppendUsers(part int, dst []string) []string
}

// A Writer keeps in Redis which users are connected here, beside what other instances write about theirs.
//
// A user who comes or goes is written soon, many in one round trip. All are written again three times within the time after
// which Redis forgets them: so a process that crashed is forgotten, and a Redis that lost its data learns them again. It
// always writes the current state, so that a write that comes twice, or late, does no harm. A state that can't be written is
// kept, once for each user, and tried again.
type Writer struct {
	// Static after construction.

	pool     *pool.Pool // of its own: it has to work when the feed has ended
	registry Registry
	ttl      time.Duration
	tell     func([]Event) // nil: nobody is told
	log      *slog.Logger
	meter    meter
	list     *list         // nil: none is kept
	patience time.Duration // answerLimit
	leaveIn  time.Duration // leaveLimit

	working  sync.Mutex    // held by Run while it works, and while nothing may be written
	ended    chan struct{} // closed by Commit
	released atomic.Bool   // another process writes these users

	frozen   bool      // of the goroutine that calls Freeze
	imported *imported // of another process; nil: nothing, or Run has taken it

	// Owned by Run's goroutine, which holds working. So they are Freeze's, too.

	id       string                        // of this process, in the sorted sets
	previous string                        // the same, before it went on under another name; empty: never
	pending  shrinkmap.Map[string, change] // users to write
	failed   shrinkmap.Map[string, change] // the same, whom Redis did not take: to write at retryAt
	takeAt   time.Time                     // when to take the marks of the registry; zero while there are none
	retryAt  time.Time                     // zero while nothing has failed
	blocked  time.Time                     // until then nothing is written, because nothing could be
	rounds   rounds
	renewed  []time.Time     // when each part last had its turn; zero: not since writing failed
	slow     *loglimit.Limit // of lines that renewals come too late
	shard    []string        // the one that is renewed
	renewing []string        // what of it is left
	batch    []string        // reused
	leaving  bool            // no user counts as connected any more
	odd      *loglimit.Limit // of lines about a key of somebody else's
}

// New returns a Writer for the Redis of cfg, of which it uses what concerns the server. ttl is how long a user
// counts as online after this process has died. It does not wait for a connection.
//
// tell, if it is not nil, is called with what this process has changed for all instances together, on Run's goroutine, which it
// must not hold up; it does not keep the slice. See [Event] for what comes how often.
func New(cfg publish.Config, ttl time.Duration, registry Registry, tell func([]Event)) (*Writer, error) {
	if ttl < minTTL {
		return nil, fmt.Errorf("redisfeed: the TTL of presence is %s, it has to be %s at least", ttl, minTTL)
	}
	cfg.PoolSize, cfg.MinIdleConns = 2, 0 // one is used; another while go-redis closes one that broke
	cfg.MaxRetries = 0                    // it has a pace of its own
	p, err := pool.New(cfg)
	if err != nil {
		return nil, err
	}
	return &Writer{
		pool: p, registry: registry, id: rand.Text(), ttl: ttl, tell: tell, log: p.Config().Logger,
		meter: meter{started: time.Now()}, ended: make(chan struct{}),
		patience: answerLimit, leaveIn: leaveLimit, slow: loglimit.New(time.Minute, 1), odd: loglimit.New(time.Minute, 1),
	}, nil
}

// minTTL leaves a millisecond and more for each part of a round.
const minTTL = 300 * time.Millisecond

// Run writes until ctx ends; then it takes the users of this process out of Redis, for which it has 5 s (and up to 3
// more where Redis does not answer to what is under way), and returns nil. Users that are left by then expire. It can be
// called once. Frozen it does not end before Unfreeze or Commit.
func (p *Writer) Run(ctx context.Context) error {
	defer p.close()
	p.rounds = newRounds(time.Now(), p.ttl/3, p.registry.Shards())
	p.renewed = make([]time.Time, p.registry.Shards())
	timer := time.NewTimer(0)
	defer timer.Stop()
	toTheEnd := context.WithoutCancel(ctx) // what is under way when ctx ends is not in doubt
	p.finishImport(time.Now())
	for ctx.Err() == nil && !p.released.Load() {
		wait, known := p.turn(toTheEnd)
		changed := p.registry.Changed()
		if known {
			changed = nil
		}
		timer.Reset(wait) // also when it is none: marks are noticed while there is always something to renew
		select {
		case <-ctx.Done():
		case <-p.ended:
		case <-changed:
			p.changed()
		case <-timer.C:
		}
	}
	p.working.Lock()
	defer p.working.Unlock()
	if !p.released.Load() {
		p.leave()
	}
	return nil
}

// close closes the connections, unless Retire needs them.
func (p *Writer) close() {
	if p.list == nil || p.released.Load() {
		_ = p.pool.Close()
	}
}

// turn works once it is not frozen. It says how long to wait for more, and whether it is known that there are marks.
func (p *Writer) turn(ctx context.Context) (wait time.Duration, known bool) {
	p.working.Lock()
	defer p.working.Unlock()
	if p.released.Load() {
		return time.Hour, true
	}
	wait = p.work(ctx, time.Now())
	p.meter.pending.Store(int64(p.pending.Len() + p.failed.Len()))
	return wait, !p.takeAt.IsZero()
}

// changed notes that there are marks to take, soon.
func (p *Writer) changed() {
	p.working.Lock()
	defer p.working.Unlock()
	p.takeAt = time.Now().Add(window)
}

// work does some of what there is to do, and says how long to wait for more: 0 is not at all.
func (p *Writer) work(ctx context.Context, now time.Time) (wait time.Duration) {
	if !p.takeAt.IsZero() && !now.Before(p.takeAt) {
		p.take(now)
	}
	if now.Before(p.blocked) {
		return p.until(now, p.blocked.Sub(now))
	}
	if !p.retryAt.IsZero() && !now.Before(p.retryAt) {
		p.again(now)
	}
	marked := p.pending.Len() > 0
	if marked {
		p.writePending(ctx)
	}
	rest := time.Hour
	if p.list != nil {
		rest = p.tend(ctx, now)
	}
	if len(p.renewing) == 0 {
		part, early := p.rounds.next(now)
		if early > 0 && !marked {
			return p.until(now, min(early, rest))
		}
		if early == 0 {
			p.checkPace(part, now)
			clear(p.shard) // keep no names
			p.shard = p.registry.AppendUsers(part, p.shard[:0])
			p.renewing = p.shard
		}
	}
	if len(p.renewing) > 0 && !time.Now().Before(p.blocked) {
		p.renew(ctx)
	}
	return 0
}

// until is the time from now to the next thing to do, and limit at most.
func (p *Writer) until(now time.Time, limit time.Duration) time.Duration {
	for _, at := range []time.Time{p.takeAt, p.retryAt} {
		if !at.IsZero() && now.Before(at) {
			limit = min(limit, at.Sub(now))
		}
	}
	return limit
}

// writePending writes some of the users who were marked.
func (p *Writer) writePending(ctx context.Context) {
	p.batch = p.batch[:0]
	for user := range p.pending.All() {
		if p.batch = append(p.batch, user); len(p.batch) == batchSize {
			break
		}
	}
	p.write(ctx, p.batch)
	clear(p.batch)
}

// checkPace says so where the last renewal of a part was longer ago than Redis remembers it: Redis is too slow for the TTL.
func (p *Writer) checkPace(part int, now time.Time) {
	last := p.renewed[part]
	p.renewed[part] = now
	took := now.Sub(last)
	if last.IsZero() || took <= p.ttl {
		return
	}
	if _, ok := p.slow.Allow(); ok {
		p.log.Warn("presence is renewed too slowly: redis takes users who are connected for offline in between; raise REDIS_PRESENCE_TTL, or see why redis is slow",
			"took", took.Round(time.Millisecond).String(), "ttl", p.ttl.String())
	}
}

// renew writes some of the users whose turn it is, whether or not anything has changed.
func (p *Writer) renew(ctx context.Context) {
	n := min(len(p.renewing), batchSize)
	users := p.renewing[:n]
	p.renewing = p.renewing[n:]
	p.write(ctx, users)
}

// leave takes all users of this process out of Redis, also those who are still connected. Users that can't be taken out in
// time expire.
func (p *Writer) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), p.leaveIn)
	defer cancel()
	p.leaving = true
	now := time.Now()
	p.take(now)
	p.markAll(now)
	for range 2 { // a connection that broke while it was idle costs one
		for user, change := range p.failed.All() {
			p.pending.Put(user, change)
		}
		p.failed = shrinkmap.Map[string, change]{}
		for p.pending.Len() > 0 && ctx.Err() == nil {
			p.writePending(ctx)
		}
	}
	left := p.pending.Len() + p.failed.Len()
	p.meter.pending.Store(int64(left))
	if left > 0 {
		p.log.Warn("users of this process stay online in redis until they expire", "users", left, "ttl", p.ttl.String())
	}
}
