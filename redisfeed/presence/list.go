package presence

import (
	"context"
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/internal/loglimit"
)

const (
	// InstancesKey is a sorted set of the instances that keep a list of their users. Their scores say, in Unix milliseconds of
	// Redis's clock, until when an instance counts as alive. Behind takenPrefix a member is a dead instance, whose users another
	// one reports.
	InstancesKey = "roost:presence:instances"
	takenPrefix  = "taken:"

	// ListPrefix and an instance make the name of the key with its users: a set of all whom it has written as online, and of those
	// who have gone since and of whom an event still waits.
	ListPrefix = "roost:presence:users:"

	// listTTL is how long Redis keeps a list that nobody writes to, and so how long users of a dead instance can be reported.
	listTTL = 7 * 24 * time.Hour

	// settlePause passes before it is looked again whether events are settled.
	settlePause = 200 * time.Millisecond

	// maxGone is how many users who have gone are remembered until their events are settled.
	maxGone = 100_000

	// barredFor passes before a dead instance is claimed again, once Redis has refused a part of that.
	barredFor = 10 * time.Minute
)

// Outbox has the events of tell, in their order, until each has been taken, or is lost and counted. Any goroutine.
type Outbox interface {
	Pushed() int64  // how many events it has been given
	Settled() int64 // so many of them, the first ones, wait no more
}

// A list has other instances report the users of this one should it die: to each it is known, in Redis, who may have to be told of.
// It reports users of dead instances in turn: see report.go.
//
// Whoever is online in Redis by this instance's writing is on its list, and the instance is registered: in one pipeline of a single
// Redis, or a cluster's two, registering and listing come before the write. The reverse need not be true, and does no harm. Each
// renewal lists its users again, so that what Redis has lost comes back within a third of the TTL.
//
// An instance that finds itself taken out, because it stood still or Redis had lost its data, goes on under another name: so a list
// of a dead instance has one owner, who reports it.
//
// Owned by Run's goroutine, which holds working.
type list struct {
	outbox     Outbox
	apart      bool // a cluster: a pipeline's commands for different nodes have no order
	registered bool // by this process, or the one before it
	forgot     bool // users on the list have gone while Redis was away, and nobody was told

	gone []departed // the oldest first

	lookAt  time.Time // when to look for dead instances
	claimAt time.Time // not before, which is for longer than from one look to the next: others, too, may just come back
	retryAt time.Time // until then only users are written
	barred  time.Time // until then nobody is claimed: something that reporting needs is refused
	walk    *walk     // through the list of a dead instance; nil: none

	refused *loglimit.Limit
	renamed *loglimit.Limit
}

// departed is a user to take off the list, once all events up to a place are settled.
type departed struct {
	user string
	at   int64
}

// KeepList has p keep a list of its users in Redis, and report those of instances that have died: their state of now is told, as
// that of users whom this instance has changed. Call it before Run and FinishImport. outbox is where tell puts its events. After Run
// call Retire.
//
// The user of the Redis ACL needs +sadd, +srem, +srandmember and +zscore for it, on the keys roost:presence:*. Without them
// everything else works, and the log says what is missing.
func (p *Writer) KeepList(outbox Outbox) {
	now := time.Now()
	p.list = &list{
		outbox: outbox, apart: len(p.pool.Config().Nodes) > 0, claimAt: now.Add(p.ttl / 2),
		lookAt:  now.Add(mathrand.N(p.ttl / 3)), // so that not all look at once
		refused: loglimit.New(time.Minute, 1), renamed: loglimit.New(time.Minute, 1),
	}
}

// ahead is what is queued ahead of users who are written.
type ahead struct{ beat, enlist *redis.Cmd }

// queueAhead queues that this instance is alive, and who is on its list.
func (p *Writer) queueAhead(ctx context.Context, pipe redis.Pipeliner, steps []step) (a ahead) {
	a.beat = beat.run(ctx, pipe, InstancesKey, p.id, p.ttl.Milliseconds())
	users := []any{listTTL.Milliseconds()}
	for _, s := range steps {
		if s.script == &arrive {
			users = append(users, s.user)
		}
	}
	if len(users) > 1 {
		a.enlist = enlist.run(ctx, pipe, ListPrefix+p.id, users...)
	}
	return a
}

// tookAhead takes notice of what became of it; whole is the pipeline's error. With an error users have to be written again. taken
// says that this instance has to go on under another name.
func (p *Writer) tookAhead(a ahead, whole error, now time.Time) (taken bool, err error) {
	l := p.list
	err = p.listError(callError(a.beat, whole))
	if state, ok := a.beat.Val().(int64); ok {
		taken = state == unknown && l.registered || l.forgot
		l.registered = true
		if state != known {
			l.claimAt = now.Add(p.ttl / 2)
		}
	} else { // refused, perhaps to all
		l.claimAt = now.Add(p.ttl / 2)
	}
	if a.enlist != nil {
		err = errors.Join(err, p.listError(callError(a.enlist, whole)))
	}
	return taken, err
}

// writeAhead is queueAhead and tookAhead in a round trip of its own. done says that users may be written now.
func (p *Writer) writeAhead(ctx context.Context, steps []step) (done bool, err error) {
	client, err := p.pool.Client(ctx)
	if err != nil {
		return false, err
	}
	pipe := client.Pipeline()
	a := p.queueAhead(ctx, pipe, steps)
	_, whole := pipe.Exec(ctx)
	now := time.Now()
	taken, err := p.tookAhead(a, whole, now)
	if taken && err == nil {
		p.rename(now)
	}
	return !taken && err == nil, err
}

// listError returns an error that trying again may mend, and only logs any other.
func (p *Writer) listError(err error) error {
	if err == nil || passing(err) {
		return err
	}
	if leftOut, ok := p.list.refused.Allow(); ok {
		p.log.Warn("users of instances that crash are not reported to the webhook: redis refuses what that needs",
			"error", explainList(p.pool.Config(), err), "lines_left_out", leftOut)
	}
	return nil
}

// passing reports whether an error may be another the next time.
func passing(err error) bool {
	if !answered(err) {
		return true
	}
	for _, word := range []string{"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK ", "OOM", "BUSY", "MISCONF", "NOREPLICAS"} {
		if strings.Contains(err.Error(), word) {
			return true
		}
	}
	return false
}

// rename has this instance go on under another name, with all users written anew. Those under the old name are for whoever finds
// its list.
func (p *Writer) rename(now time.Time) {
	p.previous, p.id = p.id, rand.Text()
	p.list.registered, p.list.forgot, p.list.gone = false, false, nil
	p.markAll(now)
	if leftOut, ok := p.list.renamed.Allow(); ok {
		p.log.Warn("presence is written anew: this instance was taken for dead, or redis had lost it", "lines_left_out", leftOut)
	}
}

// unlistLater notes who has gone, once what became of it was told.
func (l *list) unlistLater(users []string) {
	at := l.outbox.Pushed()
	for _, user := range users {
		l.gone = append(l.gone, departed{user, at})
	}
	if over := len(l.gone) - maxGone; over > 0 { // they stay on the list, which costs Redis memory
		l.gone = l.gone[over:]
	}
}

// unlist takes some of the users off the list who have gone, and of whom no event waits. It says whether there may be more.
func (p *Writer) unlist(ctx context.Context) (more bool, err error) {
	l := p.list
	settled := l.outbox.Settled()
	n := 0
	var users []any
	for ; n < len(l.gone) && n < batchSize && l.gone[n].at <= settled; n++ {
		if user := l.gone[n].user; p.leaving || p.registry.ConnectionsOf(user) == 0 {
			users = append(users, user)
		}
	}
	if len(users) > 0 {
		if _, err := p.removeFrom(ctx, p.id, users); err != nil {
			return false, err
		}
	}
	if l.gone = l.gone[n:]; len(l.gone) == 0 {
		l.gone = nil
	}
	return n == batchSize, nil
}

// removeFrom takes users off an instance's list. Where that is refused, removed is false, and the error nil.
func (p *Writer) removeFrom(ctx context.Context, id string, users []any) (removed bool, err error) {
	client, err := p.pool.Client(ctx)
	if err != nil {
		return false, err
	}
	err = client.SRem(ctx, ListPrefix+id, users...).Err()
	return err == nil, p.listError(err)
}

// Retire ends a Writer with a list, after Run and once the outbox sends no more. Users of whom no event waits any more are taken off
// the list. The rest is left for another instance, which can report it at once. Without a list, or when another process has the
// users, it does nothing.
func (p *Writer) Retire(ctx context.Context) {
	p.working.Lock()
	defer p.working.Unlock()
	if p.list == nil || p.released.Load() {
		return
	}
	defer func() { _ = p.pool.Close() }()
	client, err := p.pool.Client(ctx)
	for more := true; more && err == nil; {
		more, err = p.unlist(ctx)
	}
	l := p.list
	if err == nil {
		var left bool
		if left, err = p.leavesUsers(ctx, client); left {
			err = client.ZAddXX(ctx, InstancesKey, redis.Z{Member: p.id}).Err()
		} else if err == nil {
			err = client.ZRem(ctx, InstancesKey, p.id).Err()
		}
	}
	if err == nil && l.walk != nil {
		err = client.ZAddXX(ctx, InstancesKey, redis.Z{Member: takenPrefix + l.walk.id}).Err()
	}
	if err != nil {
		p.log.Warn("the list of this instance's users stays in redis: another instance reports them", "error", explainList(p.pool.Config(), err))
	}
}

// leavesUsers reports whether there are users for another instance to report after a clean end. The list itself says so, since it may have
// users of whom this process does not know: it has forgotten them, could not take them off, or the process before it could not. Where
// Redis refuses to say, or to take any off, nobody could report them either, and there are none.
func (p *Writer) leavesUsers(ctx context.Context, client redis.UniversalClient) (bool, error) {
	if len(p.list.gone) > 0 || p.pending.Len()+p.failed.Len() > 0 {
		return true, nil
	}
	if removed, err := p.removeFrom(ctx, p.id, []any{nobody}); !removed {
		return false, err
	}
	users, err := client.SRandMemberN(ctx, ListPrefix+p.id, 1).Result()
	return len(users) > 0, p.listError(err)
}
