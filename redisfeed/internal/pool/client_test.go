package pool

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/internal/redisnet"
	"roost/redisfeed/internal/topology"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]redisnet.Config{
		"nothing":            {},
		"address and nodes":  {Addr: "a:1", Nodes: []string{"b:1"}},
		"no name":            {Sentinels: []string{"a:1"}},
		"database of a node": {Nodes: []string{"a:1"}, DB: 1},
	} {
		if p, err := New(cfg); err == nil || p != nil {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
}

func TestNewChooses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg       redisnet.Config
		at        string
		sentinels bool
	}{
		"one Redis": {redisnet.Config{Addr: "127.0.0.1:1"}, "127.0.0.1:1", false},
		"Sentinel":  {redisnet.Config{Sentinels: []string{"127.0.0.1:1"}, MasterName: "main"}, "", true},
		"a cluster": {redisnet.Config{Nodes: []string{"127.0.0.1:1", "127.0.0.1:2"}}, "127.0.0.1:1,127.0.0.1:2", false},
	} {
		p, err := New(test.cfg)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if p.Addr() != test.at || (p.Sentinels() != nil) != test.sentinels || p.Config().Timeout != redisnet.DefaultTimeout {
			t.Errorf("%s: at %q, sentinels %v", name, p.Addr(), p.Sentinels())
		}
		for range 2 {
			if err := p.Close(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := p.Client(t.Context()); !errors.Is(err, redis.ErrClosed) {
			t.Errorf("%s, closed: %v", name, err)
		}
	}
}

// A Pool for nodes has no client before one is chosen, changes it when another is, and keeps it otherwise.
func TestUse(t *testing.T) {
	t.Parallel()
	p := NewNode(redisnet.Config{Nodes: []string{"127.0.0.1:1"}})
	if _, err := p.Client(t.Context()); !errors.Is(err, ErrNoNode) || p.Addr() != "" {
		t.Errorf("before: %v, at %q", err, p.Addr())
	}
	client := func(addr string) redis.UniversalClient {
		p.Use(topology.Master{Addr: addr})
		c, err := p.Client(t.Context())
		if err != nil || p.Addr() != addr {
			t.Fatalf("%s: %v, at %q", addr, err, p.Addr())
		}
		return c
	}
	first := client("127.0.0.1:1")
	p.Doubt() // without Sentinel there is nobody to ask
	if same := client("127.0.0.1:1"); same != first {
		t.Error("the same node has another client")
	}
	if other := client("127.0.0.1:2"); other == first {
		t.Error("another node has the same client")
	}
	if err := first.Ping(t.Context()).Err(); !errors.Is(err, redis.ErrClosed) {
		t.Errorf("the client of the node before: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	p.Use(topology.Master{Addr: "127.0.0.1:3"})
	if _, err := p.Client(t.Context()); !errors.Is(err, redis.ErrClosed) || p.Addr() == "127.0.0.1:3" {
		t.Errorf("closed: %v, at %q", err, p.Addr())
	}
}

func TestClusterOptions(t *testing.T) {
	t.Parallel()
	for retries, redirects := range map[int]int{0: 1, 4: 4} { // a node that is asked for another's slot says where that is
		cfg := redisnet.Config{Nodes: []string{"a:1", "b:1"}, Username: "u", Password: "p", PoolSize: 7, MinIdleConns: 2, MaxRetries: retries, AnswerTimeout: time.Second}
		o := clusterOptions(t.Context(), cfg)
		if len(o.Addrs) != 2 || o.Username != "u" || o.Password != "p" || o.PoolSize != 7 || o.MinIdleConns != 2 || o.MaxRedirects != redirects {
			t.Errorf("options: %+v", o)
		}
		if o.Protocol != 2 || !o.ContextTimeoutEnabled || o.ReadTimeout != time.Second || o.ClusterStateReloadInterval != mapAge || !o.DisableRoutingPolicies {
			t.Errorf("options: %+v", o)
		}
	}
}
