package soak

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// publisher publishes for the healthy users and writes down what Redis said to each. Beside that it publishes for
// troublemakers, for nobody, and nonsense. It never tries again: that could publish twice.
type publisher struct {
	client *redis.Client
	users  []string
	batch  int
	epoch  atomic.Int64 // raised by whoever troubles Redis

	// Of run's goroutine; of the test's when run has returned.
	ledger  map[string][]publication
	next    int // the user whose turn it is
	extra   int // notifications that no healthy client gets
	batches int
}

// flooded is a group that gets more at once than may wait for it.
const (
	flooded      = "flooded"
	floodedBurst = 2_000
	floodedEvery = 20 // batches
)

const channel = "user_noti:"

// everyone are notifications for all who are connected, so many every floodedEvery batches.
const everyone = 10

// padding makes notifications large: twice for slow readers, whose buffers and queues shall be full soon.
var padding = strings.Repeat("x", 4<<10)

func newPublisher(addr string, users []string, batch int) *publisher {
	return &publisher{
		client: redis.NewClient(&redis.Options{
			Addr: addr, Protocol: 2, DisableIdentity: true, PoolSize: 1,
			MaxRetries: -1, DialerRetries: 1, DialTimeout: 5 * time.Second,
			// Far longer than Redis is ever stopped: after a timeout it could still read what was written before.
			ReadTimeout: time.Minute, WriteTimeout: time.Minute,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		}),
		users: users, batch: batch, ledger: make(map[string][]publication),
	}
}

// run publishes a batch every tick until ctx ends. It ends between two batches.
func (p *publisher) run(ctx context.Context) {
	defer p.client.Close()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			p.publish()
		}
	}
}

// publish sends one batch in one write and notes the replies.
func (p *publisher) publish() {
	ctx := context.Background() // a batch is never given up half-way
	epoch := int(p.epoch.Load())
	pipe := p.client.Pipeline()
	var users []string
	var replies []*redis.IntCmd
	for range p.batch {
		user := p.users[p.next%len(p.users)]
		p.next++
		seq := len(p.ledger[user])
		p.ledger[user] = append(p.ledger[user], publication{state: unsure, epoch: epoch})
		users = append(users, user)
		replies = append(replies, pipe.Publish(ctx, channel+user, notification(user, epoch, seq)))
	}
	for user, text := range extras {
		pipe.Publish(ctx, channel+user, text)
		p.extra++
	}
	if p.batches++; p.batches%floodedEvery == 0 {
		for range floodedBurst {
			pipe.Publish(ctx, "group_noti:"+flooded, `{"type":"soak","payload":"for a group"}`)
			p.extra++
		}
		for range everyone {
			pipe.Publish(ctx, "user_noti_all", `{"type":"everyone","payload":{"text":"`+padding+`"}}`)
			p.extra++
		}
	}
	sent := time.Now()
	_, err := pipe.Exec(ctx)
	now := time.Now()
	marks := map[string]int{} // how many of the batch were this user's, counted from the end
	for i := len(users) - 1; i >= 0; i-- {
		all := p.ledger[users[i]]
		marks[users[i]]++
		entry := &all[len(all)-marks[users[i]]]
		entry.state, entry.sent, entry.replied = verdictOf(replies[i], err), sent, now
	}
}

// verdictOf reads a reply. A batch that could not be sent for want of a connection was heard by nobody.
func verdictOf(reply *redis.IntCmd, batch error) state {
	var op *net.OpError
	switch n, err := reply.Result(); {
	case err == nil && n > 0:
		return heard
	case err == nil, errors.As(batch, &op) && op.Op == "dial":
		return unheard
	}
	return unsure
}

// extras are published each tick: for those who do not read, for those who come and go, for nobody, and nonsense.
var extras = map[string]string{
	"slow":    `{"type":"soak","payload":"` + padding + padding + `"}`,
	"stream":  `{"type":"soak","payload":"` + padding + padding + `"}`,
	"churn":   `{"type":"soak","payload":"for whoever is there"}`,
	"nobody":  `{"type":"soak","payload":"for nobody"}`,
	"abusive": `{"type":7,"payload":`,
}

// notification is what a healthy user gets. It says whose it is, its place, and when it was made.
func notification(user string, epoch, seq int) string {
	return fmt.Sprintf(`{"type":"soak","payload":{"user":%q,"epoch":%d,"seq":%d,"at":%d,"text":%q}}`,
		user, epoch, seq, time.Now().UnixNano(), padding[:(seq*37)%1024])
}

// last is the notification behind which nothing comes for a user.
const last = `{"type":"last","payload":null}`
