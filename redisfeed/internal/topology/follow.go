package topology

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/internal/pause"
	"roost/redisfeed/internal/redisnet"
)

// switchChannels are those on which a sentinel tells of a failover: when the new master takes what is published, and when
// its replicas follow it, which may be much later.
var switchChannels = []string{"+promoted-slave", "+switch-master"}

// SwitchNeeds is what the user of a sentinel's ACL needs for that.
const SwitchNeeds = "+subscribe &+switch-master &+promoted-slave"

// Follow calls check every interval, and when one of the sentinels tells of a failover, until ctx ends. check asks where the
// master is; why that fails is logged, once in a row.
func (s *Sentinels) Follow(ctx context.Context, every time.Duration, check func(context.Context) error) {
	told := make(chan struct{}, 1)
	switched := func() {
		select {
		case told <- struct{}{}:
		default:
		}
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { s.watch(ctx, every, switched) })
	tick := time.NewTicker(every)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-told:
		}
		err := check(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failing {
			s.log.Warn("redis sentinels do not say where the master is, a failover would not be noticed", "error", err)
		}
		failing = err != nil
	}
}

// watch has every sentinel tell of failovers, until ctx ends. A sentinel may tell of one sooner than it would be asked;
// what it says is only a reason to ask. Why one refuses to tell is logged, once; it is tried again after a while.
func (s *Sentinels) watch(ctx context.Context, again time.Duration, switched func()) {
	var all sync.WaitGroup
	for _, c := range s.clients {
		all.Go(func() {
			said := false
			for ctx.Err() == nil {
				err := s.listen(ctx, c.client, switched)
				if refusal := redis.Error(nil); errors.As(err, &refusal) && !said && ctx.Err() == nil {
					s.log.Warn("a redis sentinel does not tell of failovers, which are noticed when it is asked",
						"sentinel", c.addr, "every", again, "its user needs", SwitchNeeds, "error", err)
					said = true
				}
				if !pause.For(ctx, again) {
					return
				}
			}
		})
	}
	all.Wait()
}

// listen listens to one sentinel until that fails, which it always does.
func (s *Sentinels) listen(ctx context.Context, c *redis.SentinelClient, switched func()) (err error) {
	defer func() {
		if p := recover(); p != nil { // go-redis panics on replies of types that it does not expect
			err = fmt.Errorf("%w: %v", redisnet.ErrBadReply, p)
		}
	}()
	sub := c.Subscribe(ctx) // no channels yet: this sends nothing
	defer sub.Close()
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	if err := sub.Subscribe(ctx, switchChannels...); err != nil {
		return err
	}
	for {
		// Without a deadline: the kernel finds hosts that are gone. A negative time-out would leave the one of the last command.
		got, err := sub.Receive(ctx)
		if err != nil {
			return err
		}
		switch got := got.(type) {
		case *redis.Subscription:
			switched() // there may have been a failover before
		case *redis.Message:
			if slices.Contains(strings.Fields(got.Payload), s.name) {
				switched()
			}
		}
	}
}
