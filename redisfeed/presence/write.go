package presence

import (
	"context"
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
	failed []string // users to try again
	err    error    // why, of the first of them
	odd    error    // of a key that is somebody else's: trying again does not help
	oddOf  string
}

// write writes for each of at most batchSize users what is true now: here, or gone. It notes what became of it.
func (p *Writer) write(ctx context.Context, users []string) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	var w written
	rest := p.send(ctx, users, false, &w)
	if len(rest) > 0 { // a Redis that has restarted since does not know the scripts
		p.send(ctx, rest, true, &w)
	}
	p.note(&w, time.Now())
}

// send does one round trip, and returns the users for whom Redis needs the whole script.
func (p *Writer) send(ctx context.Context, users []string, whole bool, w *written) (unknown []string) {
	client, err := p.pool.Client(ctx)
	if err != nil {
		w.err, w.failed = err, append(w.failed, users...)
		return nil
	}
	pipe := client.Pipeline()
	calls := make([]*redis.Cmd, len(users))
	for i, user := range users {
		calls[i] = p.scriptFor(user).queue(ctx, pipe, whole, OnlinePrefix+user, p.id, p.ttl.Milliseconds(), p.pending.Get(user).told)
	}
	_, err = pipe.Exec(ctx)
	for i, user := range users {
		switch failed := callError(calls[i], err); {
		case failed == nil:
			w.ok++
			p.wrote(user)
		case !whole && redis.HasErrorPrefix(failed, "NOSCRIPT"):
			unknown = append(unknown, user)
		case strings.Contains(failed.Error(), "WRONGTYPE"):
			w.odd, w.oddOf = failed, user
			p.wrote(user)
		default:
			w.failed = append(w.failed, user)
			if w.err == nil {
				w.err = failed
			}
		}
	}
	return unknown
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
	for _, user := range w.failed {
		p.didNotWrite(user, now)
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

// explain is Config.Explain for what concerns presence. Redis has said in several ways, from version to version, that a
// script may not do something.
func explain(c publish.Config, err error) error {
	if redis.IsPermissionError(err) || strings.Contains(err.Error(), "user executing the script can't") ||
		strings.Contains(err.Error(), "ACL failure in script") {
		return fmt.Errorf("%w: the user lacks a permission for presence, of %s: %w", publish.ErrAuth, needs, err)
	}
	return c.Explain(err)
}
