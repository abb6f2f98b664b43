package presence

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/publish"
)

// Online returns for each user on how many instances that write presence they are connected; 0 is offline. It goes by
// Redis's clock. It returns by ctx's deadline, or after the 5 s that go-redis waits for an answer. A refusal wraps
// publish.ErrAuth.
func Online(ctx context.Context, publisher *publish.Publisher, users []string) (instances []int, err error) {
	p := publisher.Pool()
	client, err := p.Client(ctx)
	if err != nil {
		return nil, fmt.Errorf("redis presence: %w", err)
	}
	now, err := client.Time(ctx).Result()
	if err != nil {
		p.Doubt()
		return nil, fmt.Errorf("redis presence: %w", explain(p.Config(), err))
	}
	pipe := client.Pipeline()
	calls := make([]*redis.ZSliceCmd, len(users))
	for i, user := range users {
		calls[i] = pipe.ZRangeWithScores(ctx, OnlinePrefix+user, 0, -1)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		p.Doubt()
		return nil, fmt.Errorf("redis presence: %w", explain(p.Config(), err))
	}
	for _, call := range calls {
		instances = append(instances, alive(call.Val(), now))
	}
	return instances, nil
}

// alive counts the members that have not expired. Only those who write take the others out.
func alive(members []redis.Z, now time.Time) (n int) {
	for _, m := range members {
		if m.Score > float64(now.UnixMilli()) {
			n++
		}
	}
	return n
}
