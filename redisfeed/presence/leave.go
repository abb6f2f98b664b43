package presence

import (
	"context"
	"maps"
	"time"
)

// leave takes everybody of this process out of Redis, also who is still connected. Who can't be taken out in time
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
		maps.Copy(p.pending, p.failed)
		clear(p.failed)
		for len(p.pending) > 0 && ctx.Err() == nil {
			p.writePending(ctx)
		}
	}
	left := len(p.pending) + len(p.failed)
	p.meter.pending.Store(int64(left))
	if left > 0 {
		p.log.Warn("users of this process stay online in redis until they expire", "users", left, "ttl", p.ttl.String())
	}
}
