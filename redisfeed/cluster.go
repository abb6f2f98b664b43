package redisfeed

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// cluster knows which node of a Redis Cluster has which slots. Any goroutine may ask.
type cluster struct {
	cfg    Config
	client *redis.ClusterClient
	asking sync.WaitGroup // goroutines that wait for an answer
}

const (
	// lookTries is how many nodes are asked, of which some may be down.
	lookTries = 5
	// lookLimit is how long one has to answer, and lookNext how long it is the only one who is asked.
	lookLimit = time.Second
	lookNext  = 100 * time.Millisecond
)

// look asks a node, any one that is well, who has which slots. One that does not answer at once is not waited for.
func (c *cluster) look(ctx context.Context) (*view, error) {
	type answer struct {
		view *view
		err  error
	}
	asked := instantNow()
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
	failed := errNoCluster
	for begun, ended := 1, 0; ended < lookTries; {
		more := false
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-next.C:
			more = true
		case a := <-answers:
			if a.err == nil {
				a.view.asked = asked
				return a.view, nil
			}
			if why := c.cfg.explain(a.err); !strings.Contains(failed.Error(), why.Error()) {
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
func (c *cluster) ask(ctx context.Context) (*view, error) {
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
	// One that has lost the others goes on believing in what was before.
	if !strings.Contains(info.Val(), "cluster_state:ok") {
		return nil, fmt.Errorf("%s: its cluster_state is not ok", from)
	}
	return newView(from, slots.Val()), nil
}

// node chooses a node to read from what goes to all of them: another than the one before, if there is one.
func (c *cluster) node(ctx context.Context, before string) (master, error) {
	v, err := c.look(ctx)
	if err != nil {
		return master{}, err
	}
	others := slices.DeleteFunc(slices.Clone(v.masters), func(addr string) bool { return addr == before })
	switch {
	case len(others) > 0:
		return master{addr: others[mathrand.IntN(len(others))]}, nil
	case len(v.masters) > 0:
		return master{addr: before}, nil
	}
	return master{}, errors.New("no node of the cluster has a slot")
}

// view is who has which slots at one moment. It does not change.
type view struct {
	owner   [slots]uint16 // 1 + the place in masters; 0: nobody
	masters []string      // host:port of those that have slots, in order
	nodes   []string      // the same of those and their replicas
	asked   instant       // it is not older than this
}

// newView reads an answer to CLUSTER SLOTS.
func newView(from string, ranges []redis.ClusterSlot) *view {
	v := &view{}
	for _, r := range ranges {
		for i, n := range r.Nodes {
			addr := reachable(n.Addr, from)
			v.nodes = append(v.nodes, addr)
			if i == 0 {
				v.masters = append(v.masters, addr)
			}
		}
	}
	for _, list := range []*[]string{&v.masters, &v.nodes} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	for _, r := range ranges {
		if len(r.Nodes) == 0 {
			continue
		}
		at, _ := slices.BinarySearch(v.masters, reachable(r.Nodes[0].Addr, from))
		for slot := max(0, r.Start); slot <= min(r.End, slots-1); slot++ {
			v.owner[slot] = uint16(at + 1)
		}
	}
	return v
}

// reachable is a node's address as another says it, who may not know its own, or not the one that we reach it by.
func reachable(addr, from string) string {
	host, port, err := net.SplitHostPort(addr)
	fromHost, fromPort, fromErr := net.SplitHostPort(from)
	if err != nil || fromErr != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || host == "?" || ip != nil && ip.IsLoopback() && !isLoopback(fromHost) {
		host = fromHost
	}
	if port == "0" { // as of one that speaks TLS only
		port = fromPort
	}
	return net.JoinHostPort(host, port)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// ownerOf is the node that has a slot, "" for none.
func (v *view) ownerOf(slot uint16) string {
	if at := v.owner[slot]; at > 0 {
		return v.masters[at-1]
	}
	return ""
}

func (v *view) hasMaster(addr string) bool { return slices.Contains(v.masters, addr) }
func (v *view) hasNode(addr string) bool   { return slices.Contains(v.nodes, addr) }

// same reports whether two views say the same of who has which slots.
func (v *view) same(other *view) bool {
	return other != nil && v.owner == other.owner && slices.Equal(v.masters, other.masters)
}
