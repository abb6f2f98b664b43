package topology

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/internal/pause"
	"roost/redisfeed/internal/boottime"
	"roost/redisfeed/internal/redisnet"
)

// ErrNoCluster is returned by Cluster.Look, with what the nodes answered.
var ErrNoCluster = errors.New("no node of the cluster says which node has which slots (REDIS_ADDRS)")

// Cluster knows which node of a Redis Cluster has which slots. Any goroutine may ask.
type Cluster struct {
	cfg    redisnet.Config
	client *redis.ClusterClient
	asking sync.WaitGroup // goroutines that wait for an answer
}

// NewCluster asks through client, which is of the cluster that cfg names. Wait has to be called before it is closed.
func NewCluster(cfg redisnet.Config, client *redis.ClusterClient) *Cluster {
	return &Cluster{cfg: cfg, client: client}
}

// Wait waits for the questions that are under way. Their context has to have ended.
func (c *Cluster) Wait() { c.asking.Wait() }

// Reload has the client ask again, in the background, which node has which slots.
func (c *Cluster) Reload() { c.client.ReloadState(context.Background()) }

const (
	// lookTries is how many nodes are asked, of which some may be down.
	lookTries = 5
	// lookLimit is how long one has to answer, and lookNext how long it is the only one who is asked.
	lookLimit = time.Second
	lookNext  = 100 * time.Millisecond
)

// Look asks any node that is well which node has which slots. After lookNext it asks another as well.
func (c *Cluster) Look(ctx context.Context) (*View, error) {
	type answer struct {
		view *View
		err  error
	}
	asked := boottime.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer, lookTries)
	begin := func() {
		c.asking.Go(func() {
			v, err := c.ask(ctx)
			answers <- answer{v, err}
		})
	}
	begin()
	next := time.NewTicker(lookNext)
	defer next.Stop()
	failed := ErrNoCluster
	for begun, ended := 1, 0; ended < lookTries; {
		more := false
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-next.C:
			more = true
		case a := <-answers:
			if a.err == nil {
				a.view.Asked = asked
				return a.view, nil
			}
			if why := c.cfg.Explain(a.err); !strings.Contains(failed.Error(), why.Error()) {
				failed = fmt.Errorf("%w; %w", failed, why)
			}
			ended++
			more = begun == ended
		}
		if more && begun < lookTries {
			begun++
			begin()
		}
	}
	c.client.ReloadState(ctx) // the nodes that it knows may all be gone
	return nil, failed
}

// ask asks one node, chosen by chance.
func (c *Cluster) ask(ctx context.Context) (*View, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	node, err := c.client.MasterForKey(ctx, rand.Text())
	if err != nil {
		return nil, err
	}
	from := node.Options().Addr
	pipe := node.Pipeline()
	info, slots := pipe.ClusterInfo(ctx), pipe.ClusterSlots(ctx)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	// A node that has lost the others still reports the old state.
	if !strings.Contains(info.Val(), "cluster_state:ok") {
		return nil, fmt.Errorf("%s: its cluster_state is not ok", from)
	}
	return newView(from, slots.Val()), nil
}

// Node chooses a node to read from what goes to all of them: another than the one before, if there is one. With same all who
// ask choose the same: each node passes things on in an order of its own.
func (c *Cluster) Node(ctx context.Context, before string, same bool) (Master, error) {
	v, err := c.Look(ctx)
	if err != nil {
		return Master{}, err
	}
	others := slices.DeleteFunc(slices.Clone(v.Masters), func(addr string) bool { return addr == before })
	switch {
	case len(others) > 0 && same:
		return Master{Addr: slices.Min(others)}, nil
	case len(others) > 0:
		return Master{Addr: others[mathrand.IntN(len(others))]}, nil
	case len(v.Masters) > 0:
		return Master{Addr: before}, nil
	}
	return Master{}, errors.New("no node of the cluster has a slot")
}

// lookAgain is the least time between two questions about who has which slots.
const lookAgain = 20 * time.Millisecond

// Watch looks every interval, and sooner when soon says that something seems to have changed, who has which slots, until ctx
// ends. seen is called with each answer, by the goroutine that called Watch.
func (c *Cluster) Watch(ctx context.Context, every time.Duration, soon <-chan struct{}, seen func(*View)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last *View
	var looked time.Time
	failing, rest := false, lookAgain
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-soon:
			if !pause.For(ctx, rest-time.Since(looked)) {
				return
			}
		}
		looked = time.Now()
		v, err := c.Look(ctx)
		if ctx.Err() != nil {
			return
		}
		switch {
		case err != nil && !failing:
			c.cfg.Logger.Warn("redis cluster does not say who has which slots", "error", err)
		case err == nil:
			seen(v)
		}
		if failing = err != nil; failing || v.Same(last) {
			rest = min(2*rest, every) // those who ask wait longer each time
		} else {
			last, rest = v, lookAgain
		}
		timer.Reset(every)
	}
}
