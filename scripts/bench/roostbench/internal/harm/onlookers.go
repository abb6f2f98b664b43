package harm

import (
	"context"
	"time"

	"roost/bench/roostbench/internal/raw"
)

// Onlookers are forty healthy connections, each its own user, which ping five times a second each. The delay of their
// pongs says how long a server's loops are held up by something else.
type Onlookers struct{ healthy *healthy }

// Watch opens them.
func Watch(ctx context.Context, target raw.Target) (Onlookers, error) {
	h, err := watch(ctx, target)
	return Onlookers{h}, err
}

// Since says how they have fared since then, once each has had one more pong.
func (o Onlookers) Since(ctx context.Context, then time.Time, patience time.Duration) Latency {
	o.healthy.awaitPongs(ctx, patience)
	return o.healthy.since(then)
}

// Stop ends them.
func (o Onlookers) Stop() { o.healthy.stop() }
