package redisnet

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// DefaultTimeout is Config.Timeout's default.
const DefaultTimeout = 8 * time.Second

// Config says which Redis to use, as whom, and with which connections. Only Addr is required, or Sentinels and MasterName,
// or Nodes.
type Config struct {
	Addr     string // host:port, or the path of a Unix socket. Empty with Sentinels and with Nodes
	Username string // of the Redis ACL; empty is the default user
	Password string // empty with a Username: a user that Redis knows as nopass
	// ClientName is what CLIENT LIST on the server calls our connections, where the user may say it (CLIENT SETNAME). It
	// has no spaces. Empty: none.
	ClientName string
	DB         int         // selected on every connection; pub/sub does not depend on it
	TLS        *tls.Config // nil: no TLS. An empty ServerName is taken from the address. For the sentinels too

	// Sentinels are asked where the master called MasterName is: host:port of each. They have a user and a password of
	// their own, or none.

	Sentinels        []string
	MasterName       string
	SentinelUsername string
	SentinelPassword string

	// Nodes are some of a Redis Cluster, host:port of each; the others are found through them.
	Nodes []string

	// Sharded publishes notifications for users with SPUBLISH, on the sharded channels of Redis Cluster 7 and later.
	Sharded bool

	// The pool of ordinary connections (with Nodes: for each node), which publish. The subscription is not in it.

	MaxRetries      int           // of a failed command; 0 is none. A retried PUBLISH may arrive twice
	MinIdleConns    int           // opened ahead of need; 0 is none
	PoolSize        int           // 0 is go-redis's own default, ten for each CPU
	PoolTimeout     time.Duration // wait for a free connection; 0 is go-redis's own default, a second more than for an answer
	AnswerTimeout   time.Duration // wait for an answer; 0 is go-redis's own default, 5 s
	ConnMaxIdleTime time.Duration // 0 is go-redis's own default, 30 min
	ConnMaxLifetime time.Duration // 0 is no limit

	// Timeout is for connecting, and for data that Redis's host does not acknowledge. 0 is DefaultTimeout.
	Timeout time.Duration

	// Reserve has descriptors for links, and for asking where they lead, when the process has no others. Nil: none.
	Reserve Reserve

	// Needs is what the user of the Redis ACL needs, for the error that says that it lacks something.
	Needs string

	Logger *slog.Logger // nil: no logging
}

// WithDefaults returns c with its zero values filled in, or says which value cannot be.
func (c Config) WithDefaults() (Config, error) {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, c.check()
}

func (c Config) check() error {
	switch {
	case c.Addr == "" && len(c.Sentinels) == 0 && len(c.Nodes) == 0:
		return errors.New("redisfeed: Addr is empty")
	case len(c.Nodes) > 0 && (c.Addr != "" || len(c.Sentinels) > 0):
		return errors.New("redisfeed: there are Nodes, and Addr or Sentinels beside them")
	case len(c.Nodes) > 0 && c.DB != 0:
		return fmt.Errorf("redisfeed: DB is %d, and a Redis Cluster has database 0 only", c.DB)
	case c.Sharded && len(c.Nodes) == 0:
		return errors.New("redisfeed: Sharded without Nodes")
	case c.Addr != "" && len(c.Sentinels) > 0:
		return errors.New("redisfeed: there are both Addr and Sentinels")
	case c.MasterName == "" && len(c.Sentinels) > 0:
		return errors.New("redisfeed: MasterName is empty (REDIS_MASTER_NAME)")
	case c.Timeout < 0:
		return fmt.Errorf("redisfeed: Timeout %s is negative", c.Timeout)
	}
	return nil
}
