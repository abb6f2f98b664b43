package publish

import (
	"context"
	"errors"
	"fmt"
)

// ErrServersUnknown is returned by Publisher.Servers for a cluster, of which each node counts its own subscribers only.
var ErrServersUnknown = errors.New("a cluster does not say how many servers are subscribed")

// Servers returns how many servers are subscribed on this Redis (PUBSUB NUMSUB user_noti_all, which an ACL may not
// allow). Those on its replicas are not among them. Any goroutine.
func (p *Publisher) Servers(ctx context.Context) (int64, error) {
	if len(p.pool.Config().Nodes) > 0 {
		return 0, ErrServersUnknown
	}
	client, err := p.pool.Client(ctx)
	if err != nil {
		return 0, err
	}
	subscribed, err := client.PubSubNumSub(ctx, AllChannel).Result()
	if err != nil {
		return 0, fmt.Errorf("PUBSUB NUMSUB %s: %w", AllChannel, err)
	}
	return subscribed[AllChannel], nil
}
