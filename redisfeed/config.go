package redisfeed

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Defaults for the zero values in Config. Three heartbeats fit in the timeout after the last one that arrived,
// so one that is late or lost condemns nobody, and a hang is noticed within 10 s.
const (
	DefaultHeartbeatInterval = 2 * time.Second
	DefaultHeartbeatTimeout  = 8 * time.Second
)

// DefaultRetryDelay spares a Redis that is away, and the network to it.
const DefaultRetryDelay = 5 * time.Second

// DefaultUnsubscribeDelay is long enough for a page that is loaded anew.
const DefaultUnsubscribeDelay = 10 * time.Second

// Config says which Redis to use and how patiently. Only Addr is required, or Sentinels and MasterName, or Nodes.
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

	// Mode is how what is published for users is heard. Sharded wants Nodes.
	Mode Mode
	// UnsubscribeDelay passes between the end of a user's last connection and UNSUBSCRIBE. 0 is
	// DefaultUnsubscribeDelay; a negative one is none.
	UnsubscribeDelay time.Duration

	// The pool of ordinary connections (with Cluster: for each node), which publish. The subscription is not in it.

	MaxRetries      int           // of a failed command; 0 is none. A retried PUBLISH may arrive twice
	MinIdleConns    int           // opened ahead of need; 0 is none
	PoolSize        int           // 0 is go-redis's own default, ten for each CPU
	PoolTimeout     time.Duration // wait for a free connection; 0 is go-redis's own default, 6 s
	ConnMaxIdleTime time.Duration // 0 is go-redis's own default, 30 min
	ConnMaxLifetime time.Duration // 0 is no limit

	// MaxAttempts ends Run after an outage that is as long as so many attempts with RetryDelay between them; 0 tries for
	// ever. What this host lacks (descriptors, memory, ports) is not counted.
	MaxAttempts int
	// RetryDelay passes between two attempts at most. The first follows a loss at once, and the pauses between the next
	// grow from 50 ms. Links that break before they are so old, one after the other, are kept apart in the same way. 0 is
	// DefaultRetryDelay.
	RetryDelay time.Duration

	HeartbeatInterval time.Duration // 0 is DefaultHeartbeatInterval
	HeartbeatTimeout  time.Duration // silence that ends a link, also while connecting; 0 is DefaultHeartbeatTimeout

	// FlushWindow is the least time between two reads of notifications: more of them are handed over at once, and each
	// may wait for so long. 0 is none.
	FlushWindow time.Duration

	// Gap is told, by a goroutine of the feed, that what was published since a time may be lost: when there is a link
	// again, or when there is the first and somebody was let in before. Since is rather too early than too late: nothing
	// that was published before it is missing, and it is at least HeartbeatTimeout before the loss was noticed. Nil: nobody
	// is told.
	Gap func(since time.Time)

	// UserGap is told the same for one user, who was not heard for a while although the feed was connected: one shard of
	// a Cluster was away, or the user's slot was moved. A goroutine of the feed calls it. Nil: nobody is told.
	UserGap func(user string, since time.Time)

	// Arrived is told, by the goroutine that reads, that a read has brought something: what the sink is handed next, until
	// Arrived is called again, came just now, and was published after a time. Nil: nobody is told.
	Arrived func(after time.Time)

	// Reserve has descriptors for links, and for asking where they lead, when the process has no others. Nil: none.
	Reserve Reserve

	Logger *slog.Logger // nil: no logging
}

// Reserve is descriptors that are kept aside for when the process has no others. Any goroutine.
type Reserve interface {
	Release() bool // gives one back to the process, and reports whether there was one
	Refill()       // takes back what was released, as far as the process has descriptors again
}

// withDefaults returns c with its zero values filled in, or says which value cannot be.
func (c Config) withDefaults() (Config, error) {
	if c.HeartbeatInterval == 0 {
		c.HeartbeatInterval = DefaultHeartbeatInterval
	}
	if c.HeartbeatTimeout == 0 {
		c.HeartbeatTimeout = DefaultHeartbeatTimeout
	}
	if c.RetryDelay == 0 {
		c.RetryDelay = DefaultRetryDelay
	}
	switch {
	case c.UnsubscribeDelay == 0:
		c.UnsubscribeDelay = DefaultUnsubscribeDelay
	case c.UnsubscribeDelay < 0:
		c.UnsubscribeDelay = 0
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
	case c.Mode == Sharded && len(c.Nodes) == 0:
		return errors.New("redisfeed: Sharded without Nodes")
	case c.Mode > Sharded:
		return fmt.Errorf("redisfeed: Mode is %d", c.Mode)
	case c.Addr != "" && len(c.Sentinels) > 0:
		return errors.New("redisfeed: there are both Addr and Sentinels")
	case c.MasterName == "" && len(c.Sentinels) > 0:
		return errors.New("redisfeed: MasterName is empty (REDIS_MASTER_NAME)")
	case c.MaxAttempts < 0:
		return fmt.Errorf("redisfeed: MaxAttempts %d is negative", c.MaxAttempts)
	case c.RetryDelay < 0:
		return fmt.Errorf("redisfeed: RetryDelay %s is negative", c.RetryDelay)
	case c.FlushWindow < 0:
		return fmt.Errorf("redisfeed: FlushWindow %s is negative", c.FlushWindow)
	case c.HeartbeatInterval < 0:
		return fmt.Errorf("redisfeed: HeartbeatInterval %s is negative", c.HeartbeatInterval)
	case c.HeartbeatTimeout <= c.HeartbeatInterval:
		return fmt.Errorf("redisfeed: HeartbeatTimeout %s is not longer than HeartbeatInterval %s",
			c.HeartbeatTimeout, c.HeartbeatInterval)
	}
	return nil
}
