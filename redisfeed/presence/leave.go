package presence

import (
	"context"
	"time"

	"roost/internal/shrinkmap"
)

// leave takes all users of this process out of Redis, also those who are still connected. Those who can't be taken out in time
// expires.
func (p *Writer) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveLimit)
	defer cancel()
	p.leaving = true
	now := time.Now()
	p.take(now)
	for part := range p.registry.Shards() {
		p.shard = p.registry.AppendUsers(part, p.shard[:0])
		for _, user := range p.shard {
			p.mark(user, true, now)
		}
	}
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
