package redisfeed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// switchChannels are those on which a sentinel tells of a failover: when the new master takes what is published, and when
// its replicas follow it, which may be much later.
var switchChannels = []string{"+promoted-slave", "+switch-master"}

// switchNeeds is what the user of a sentinel's ACL needs for that.
const switchNeeds = "+subscribe &+switch-master &+promoted-slave"

// watch has every sentinel tell of failovers, until ctx ends. A sentinel may tell of one sooner than it would be asked;
// what it says is only a reason to ask. failed is told why one does not tell, once; pause passes before it is tried again.
func (s *sentinels) watch(ctx context.Context, pause time.Duration, switched func(), failed func(from string, err error)) {
	var all sync.WaitGroup
	for _, c := range s.clients {
		all.Go(func() {
			said := false
			for ctx.Err() == nil {
				err := s.hear(ctx, c.client, switched)
				if refusal := redis.Error(nil); errors.As(err, &refusal) && !said && ctx.Err() == nil {
					failed(c.addr, err)
					said = true
				}
				if !sleep(ctx, pause) {
					return
				}
			}
		})
	}
	all.Wait()
}

// hear listens to one sentinel until that fails, which it always does.
func (s *sentinels) hear(ctx context.Context, c *redis.SentinelClient, switched func()) (err error) {
	defer func() {
		if p := recover(); p != nil { // as link.guard
			err = fmt.Errorf("%w: %v", errBadReply, p)
		}
	}()
	sub := c.Subscribe(ctx) // no channels yet: this sends nothing
	defer sub.Close()
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	if err := sub.Subscribe(ctx, switchChannels...); err != nil {
		return err
	}
	for {
		got, err := sub.ReceiveTimeout(ctx, -1) // which sets no deadline: the kernel finds hosts that are gone
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
