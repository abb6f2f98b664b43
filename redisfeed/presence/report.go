package presence

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// walk is the way through the list of a dead instance.
type walk struct {
	id    string // of the dead instance
	users []any  // who has been told of; nil: nobody since the last were taken off
	at    int64  // their events are settled from here on
	whole bool   // Redis does not know the script
}

// tend does some of what lists need: it takes users off, looks for dead instances, and reports their users. It says how long it
// has nothing to do.
func (p *Writer) tend(ctx context.Context, now time.Time) (wait time.Duration) {
	l := p.list
	if now.Before(l.retryAt) {
		return l.retryAt.Sub(now)
	}
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	busy, err := p.unlist(ctx)
	if err == nil && !now.Before(l.lookAt) {
		l.lookAt = now.Add(p.ttl / 3)
		err = p.look(ctx, now)
	}
	if err == nil && l.walk != nil {
		var more bool
		more, err = p.step(ctx)
		busy = busy || more
	}
	switch {
	case err != nil:
		p.pool.Doubt()
		if leftOut, ok := l.refused.Allow(); ok {
			p.log.Warn("users of dead instances can't be reported to the webhook for now, which is tried again", "error", explainList(p.pool.Config(), err), "lines_left_out", leftOut)
		}
		l.retryAt = now.Add(retryPause)
		l.lookAt = l.retryAt
		l.claimAt = now.Add(p.ttl / 2)
		return retryPause
	case busy:
		return 0
	case len(l.gone) > 0 || l.walk != nil:
		return settlePause
	}
	return max(0, l.lookAt.Sub(now))
}

// look says that this instance is alive, and claims a dead one, if there is any and none is claimed. While one is, it stays so.
func (p *Writer) look(ctx context.Context, now time.Time) error {
	if _, err := p.writeAhead(ctx, nil); err != nil {
		return err
	}
	client, err := p.pool.Client(ctx)
	if err != nil {
		return err
	}
	l := p.list
	if l.walk != nil {
		return p.listError(beat.run(ctx, client, InstancesKey, takenPrefix+l.walk.id, p.ttl.Milliseconds()).Err())
	}
	if now.Before(l.claimAt) || now.Before(l.barred) {
		return nil
	}
	call := claim.run(ctx, client, InstancesKey, takenPrefix, p.ttl.Milliseconds(), p.ttl.Milliseconds()/3)
	if err := p.listError(call.Err()); err != nil {
		return err
	}
	if id, _ := call.Val().(string); id != "" {
		l.walk = &walk{id: id}
		if removed, err := p.removeFrom(ctx, id, []any{nobody}); !removed { // refused after users were told of, it would tell of them for ever
			_, err = p.bar(err)
			return err
		}
		p.log.Warn("an instance has died: its users are reported to the webhook", "instance", id)
	}
	return nil
}

// step does a step of the walk: it takes those off the list whose events are settled, and then tells of the next ones. Nothing is told
// before what was told is settled: so if this instance dies, too, the next one tells of it. It says whether there is more to do now.
func (p *Writer) step(ctx context.Context) (more bool, err error) {
	l := p.list
	w := l.walk
	if w.users != nil {
		if l.outbox.Settled() < w.at {
			return false, nil
		}
		if removed, err := p.removeFrom(ctx, w.id, w.users); !removed {
			return p.bar(err)
		}
		w.users = nil
	}
	client, err := p.pool.Client(ctx)
	if err != nil {
		return false, err
	}
	users, err := client.SRandMemberN(ctx, ListPrefix+w.id, batchSize).Result()
	switch {
	case err != nil:
		return p.bar(p.listError(err))
	case len(users) > 0:
		return true, p.report(ctx, users)
	}
	if err := p.listError(client.ZRem(ctx, InstancesKey, takenPrefix+w.id).Err()); err != nil {
		return false, err
	}
	l.walk, l.lookAt = nil, time.Now() // for the next one
	return true, nil
}

// bar leaves a dead instance to others, who may be allowed more, unless there is an error that may pass.
func (p *Writer) bar(err error) (more bool, _ error) {
	if err == nil {
		p.list.walk, p.list.barred = nil, time.Now().Add(barredFor)
	}
	return false, err
}

// report takes users of the dead instance out of Redis, and tells what they are now: offline, or online by another instance, which
// nobody has told of if the dead one was the first and its event was lost with it.
func (p *Writer) report(ctx context.Context, users []string) error {
	w := p.list.walk
	client, err := p.pool.Client(ctx)
	if err != nil {
		return err
	}
	whole := w.whole
	pipe := client.Pipeline()
	calls := make([]*redis.Cmd, len(users))
	for i, user := range users {
		calls[i] = depart.queue(ctx, pipe, whole, OnlinePrefix+user, w.id, p.ttl.Milliseconds(), true)
	}
	_, broken := pipe.Exec(ctx)
	var events []Event
	for i, user := range users {
		wrong := callError(calls[i], broken)
		switch at, _ := calls[i].Val().(int64); {
		case wrong == nil:
			events = append(events, Event{User: user, Online: at < 0, At: time.UnixMicro(max(at, -at))})
		case !whole && redis.HasErrorPrefix(wrong, "NOSCRIPT"):
			w.whole = true
			continue
		case !strings.Contains(wrong.Error(), "WRONGTYPE"): // a key of somebody else's has no user
			err = wrong
			continue
		}
		w.users = append(w.users, user)
	}
	if len(events) > 0 {
		p.tell(events)
		p.meter.reported.Add(uint64(len(events)))
	}
	w.at = p.list.outbox.Pushed()
	if w.users != nil { // the others come again
		return nil
	}
	return err
}
