package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/internal/redisnet"
)

// Message is one part of a batch.
type Message struct {
	Kind    Kind
	Name    string // of the user or the group
	Payload string
}

// ReceiversUnknown is the number of receivers where Redis does not say it: a node of a cluster counts its own subscribers
// only.
const ReceiversUnknown int64 = -1

// BatchError is why a batch was not published, or not all of it.
type BatchError struct {
	Published int  // so many messages, from the first on, surely are
	Uncertain bool // some of the others may be: the connection was lost before Redis answered
	Err       error
}

// Error says how far the batch got.
func (e *BatchError) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *BatchError) Unwrap() error { return e.Err }

// PublishBatch publishes messages in order, in one pipeline, and returns for each how many subscribers Redis handed it to:
// see Publish, and ReceiversUnknown. Where Config.Sharded mixes PUBLISH and SPUBLISH, each run of one command is a pipeline of
// its own. On a cluster all of PUBLISH goes to one node, so that the order holds; SPUBLISH keeps it for each user.
//
// The error is a *BatchError. A pipeline whose connection is lost is repeated as often as Config.MaxRetries says, as a whole: then
// messages may arrive twice. Deadlines are as for Publish.
func (p *Publisher) PublishBatch(ctx context.Context, batch []Message) (receivers []int64, err error) {
	receivers = make([]int64, 0, len(batch))
	for len(batch) > 0 {
		sharded, n := p.sharded(batch[0]), 1
		for n < len(batch) && p.sharded(batch[n]) == sharded {
			n++
		}
		heard, err := p.publishRun(ctx, batch[:n], sharded)
		receivers = append(receivers, heard...)
		if err != nil {
			err.Published = len(receivers)
			return receivers, err
		}
		batch = batch[n:]
	}
	return receivers, nil
}

// sharded reports whether a message is published with SPUBLISH.
func (p *Publisher) sharded(m Message) bool { return p.pool.Config().Sharded && m.Kind == ForUser }

// publishRun publishes messages with one command, and returns the receivers of those that surely are published, from the first
// on.
func (p *Publisher) publishRun(ctx context.Context, run []Message, sharded bool) ([]int64, *BatchError) {
	client, err := p.pool.Client(ctx)
	if err != nil {
		return nil, &BatchError{Err: fmt.Errorf("redis publish: %w", err)}
	}
	cluster, isCluster := client.(*redis.ClusterClient)
	if isCluster && !sharded {
		node, err := cluster.MasterForKey(ctx, Channel(run[0].Kind, run[0].Name))
		if err != nil {
			p.pool.Doubt()
			return nil, &BatchError{Err: fmt.Errorf("redis publish: %w", p.pool.Config().Explain(err))}
		}
		client = node
	}
	commands := make([]*redis.IntCmd, len(run))
	_, err = client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, m := range run {
			if sharded {
				commands[i] = pipe.SPublish(ctx, Channel(m.Kind, m.Name), m.Payload)
			} else {
				commands[i] = pipe.Publish(ctx, Channel(m.Kind, m.Name), m.Payload)
			}
		}
		return nil
	})
	receivers := make([]int64, 0, len(run))
	for _, command := range commands {
		if failed := command.Err(); failed != nil {
			p.pool.Doubt()
			return receivers, &BatchError{
				Uncertain: uncertain(commands[len(receivers):]),
				Err:       fmt.Errorf("redis publish: %w", p.pool.Config().Explain(failed)),
			}
		}
		heard := command.Val()
		if isCluster && !sharded {
			heard = ReceiversUnknown
		}
		receivers = append(receivers, heard)
	}
	if err != nil { // which no command has
		return receivers, &BatchError{Uncertain: true, Err: fmt.Errorf("redis publish: %w", p.pool.Config().Explain(err))}
	}
	return receivers, nil
}

// uncertain reports whether any of these may be published: it succeeded behind one that failed, or Redis got it and did not
// answer.
func uncertain(commands []*redis.IntCmd) bool {
	for _, command := range commands {
		err := command.Err()
		if refused := redis.Error(nil); err == nil || !errors.As(err, &refused) && !redisnet.NotReached(err) {
			return true
		}
	}
	return false
}
