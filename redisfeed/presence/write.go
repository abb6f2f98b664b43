package presence

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/internal/redisnet"
	"roost/redisfeed/publish"
)

// written is what became of a batch.
type written struct {
	ok     int
	gone   []string // of them, those who are not here
	events []Event
	failed []failed // users to try again
	err    error    // why, of the first of them
	odd    error    // of a key that is somebody else's: trying again does not help
	oddOf  string

	unlisted error // why not all are on the list who should be
	taken    bool  // this instance has to go on under another name
}

// step is what to write of a user.
type step struct {
	user   string
	script *script
}

// failed is a user who was not written.
type failed struct {
	user string
	sent bool // Redis may have done it: there is no answer
}

// write writes for each of at most batchSize users what is true now: here, or gone. It notes what became of it.
func (p *Writer) write(ctx context.Context, users []string) {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	steps := make([]step, len(users)) // what is listed and what is written has to be the same, whoever comes or goes meanwhile
	for i, user := range users {
		steps[i] = step{user, p.scriptFor(user)}
	}
	var w written
	if p.list == nil || !p.list.apart {
		p.sendAll(ctx, steps, &w)
	} else if listed, err := p.writeAhead(ctx, steps); listed {
		p.sendAll(ctx, steps, &w)
	} else if err != nil {
		w.refuse(steps, err)
	} else {
		return // under another name: all are marked
	}
	now := time.Now()
	p.note(&w, now)
	if p.list != nil {
		p.list.unlistLater(w.gone)
	}
	if w.taken {
		p.rename(now)
	}
}

// sendAll sends the users' scripts.
func (p *Writer) sendAll(ctx context.Context, steps []step, w *written) {
	rest := p.send(ctx, steps, false, w)
	if len(rest) > 0 { // a Redis that has restarted since does not know the scripts
		p.send(ctx, rest, true, w)
	}
}

// refuse notes that nobody was written.
func (w *written) refuse(steps []step, err error) {
	w.err = err
	for _, s := range steps {
		w.failed = append(w.failed, failed{user: s.user})
	}
}

// send does one round trip, and returns the users for whom Redis needs the whole script.
func (p *Writer) send(ctx context.Context, steps []step, whole bool, w *written) (unknown []step) {
	client, err := p.pool.Client(ctx)
	if err != nil {
		w.refuse(steps, err)
		return nil
	}
	pipe := client.Pipeline()
	listed := p.list != nil && !p.list.apart && !whole
	var a ahead
	if listed {
		a = p.queueAhead(ctx, pipe, steps)
	}
	calls := make([]*redis.Cmd, len(steps))
	for i, s := range steps {
		calls[i] = s.script.queue(ctx, pipe, whole, OnlinePrefix+s.user, p.args(s.user)...)
	}
	_, err = pipe.Exec(ctx)
	if listed {
		w.taken, w.unlisted = p.tookAhead(a, err, time.Now())
	}
	for i, s := range steps {
		user := s.user
		switch wrong := callError(calls[i], err); {
		case wrong == nil:
			w.ok++
			p.event(w, user, s.script == &arrive, calls[i])
			p.wrote(user)
			switch {
			case s.script == &depart && user != nobody:
				w.gone = append(w.gone, user)
			case s.script == &arrive && w.unlisted != nil:
				w.failed, w.err = append(w.failed, failed{user: user}), w.unlisted
			}
		case !whole && redis.HasErrorPrefix(wrong, "NOSCRIPT"):
			unknown = append(unknown, s)
		case strings.Contains(wrong.Error(), "WRONGTYPE"):
			w.odd, w.oddOf = wrong, user
			p.wrote(user)
		default:
			w.failed = append(w.failed, failed{user: user, sent: !answered(wrong)})
			if w.err == nil {
				w.err = wrong
			}
		}
	}
	return unknown
}

// args are those of both scripts.
func (p *Writer) args(user string) []any {
	args := []any{p.id, p.ttl.Milliseconds(), p.pending.Get(user).told}
	if p.previous != "" {
		args = append(args, p.previous)
	}
	return args
}

// event notes what a call that worked has changed.
func (p *Writer) event(w *written, user string, online bool, call *redis.Cmd) {
	if p.tell == nil {
		return
	}
	at, _ := call.Val().(int64)
	if at > 0 || online && p.pending.Get(user).maybe {
		w.events = append(w.events, Event{User: user, Online: online, At: time.UnixMicro(max(at, -at))})
	}
}

// answered reports whether an error is what Redis has answered.
func answered(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// scriptFor is what to say about a user.
func (p *Writer) scriptFor(user string) *script {
	if !p.leaving && p.registry.ConnectionsOf(user) > 0 {
		return &arrive
	}
	return &depart
}

// callError is why a call failed; whole is the pipeline's error. Redis answers a number to each that worked.
func callError(call *redis.Cmd, whole error) error {
	if _, answered := call.Val().(int64); answered {
		return nil
	}
	if err := call.Err(); err != nil {
		return err
	}
	if whole != nil {
		return whole
	}
	return redisnet.ErrBadReply
}

// note takes notice of what became of a batch, and says so in the log where it has become different.
func (p *Writer) note(w *written, now time.Time) {
	p.meter.written.Add(uint64(w.ok))
	p.meter.failed.Add(uint64(len(w.failed)))
	if w.odd != nil {
		p.meter.failed.Add(1)
		if _, ok := p.odd.Allow(); ok {
			p.log.Warn("presence of a user can't be written: the key is somebody else's",
				"key", OnlinePrefix+w.oddOf, "error", w.odd)
		}
	}
	for _, one := range w.failed {
		p.didNotWrite(one, now)
	}
	if len(w.events) > 0 {
		p.tell(w.events)
	}
	switch {
	case len(w.failed) > 0:
		p.trouble(w, now)
	case p.failed.Len() == 0 && p.pending.Len() == 0:
		if gone := p.meter.works(now); gone > 0 {
			p.log.Info("presence is written again", "after", gone.Round(time.Millisecond).String())
		}
	}
}

// trouble has the users who were not written tried again later. When none was written, nothing is tried until then.
func (p *Writer) trouble(w *written, now time.Time) {
	p.pool.Doubt()
	if p.retryAt.IsZero() {
		p.retryAt = now.Add(retryPause)
	}
	if w.ok == 0 {
		p.blocked = p.retryAt
	}
	clear(p.renewed) // renewals that are late now are so for another reason than the pace
	if p.meter.fails(now) {
		p.log.Warn("presence can't be written to redis", "addr", p.pool.Addr(), "error", explain(p.pool.Config(), w.err))
	}
}

// needs is what the user of the Redis ACL needs for presence.
const needs = "+evalsha +eval +time +zadd +zrem +zremrangebyscore +zrange +pexpireat +publish ~" +
	OnlinePrefix + "* &" + PresenceChannel

// listNeeds is what it needs beside that for lists.
const listNeeds = "+sadd +srem +srandmember +zscore ~roost:presence:*"

// explainList is explain for what concerns lists.
func explainList(c publish.Config, err error) error {
	if !redisnet.LacksPermission(err) {
		return c.Explain(err)
	}
	return fmt.Errorf("%w: the user lacks a permission for webhooks, of %s, or one for presence, of %s: %w", publish.ErrAuth, listNeeds, needs, err)
}

// explain is Config.Explain for what concerns presence.
func explain(c publish.Config, err error) error {
	if redisnet.LacksPermission(err) {
		return fmt.Errorf("%w: the user lacks a permission for presence, of %s: %w", publish.ErrAuth, needs, err)
	}
	return c.Explain(err)
}
