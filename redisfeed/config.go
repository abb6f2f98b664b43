package redisfeed

import (
	"fmt"
	"time"

	"roost/redisfeed/publish"
)

// Defaults for the zero values in Config. Three heartbeats fit in the timeout after the last one that arrived,
// so one that is late or lost ends no link, and a hang is noticed within 10 s.
const (
	DefaultHeartbeatInterval = 2 * time.Second
	DefaultHeartbeatTimeout  = 8 * time.Second
)

// DefaultRetryDelay spares a Redis that is away, and the network to it.
const DefaultRetryDelay = 5 * time.Second

// DefaultUnsubscribeDelay is longer than a page reload.
const DefaultUnsubscribeDelay = 10 * time.Second

// Config says which Redis to use and how patiently. Of the embedded one only Addr is required, or Sentinels and MasterName,
// or Nodes; Sharded and Needs follow from Mode, and Timeout is HeartbeatTimeout unless it is set.
type Config struct {
	publish.Config

	// Mode is how the feed subscribes to what is published for users. Sharded needs Nodes.
	Mode Mode
	// UnsubscribeDelay passes between the end of a user's last connection and UNSUBSCRIBE. 0 is
	// DefaultUnsubscribeDelay; a negative one is none.
	UnsubscribeDelay time.Duration

	// MaxAttempts ends Run after an outage that is as long as so many attempts with RetryDelay between them; 0 tries for
	// ever. Failures for want of something on this host (descriptors, memory, ports) are not counted.
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

	// UserGap is told the same for one user, who was not subscribed for a while although the feed was connected: one shard of
	// a Cluster was away, or the user's slot was moved. A goroutine of the feed calls it. Nil: nobody is told.
	UserGap func(user string, since time.Time)

	// UserHeard is called in place of UserGap for each user who has just been subscribed, in PerUser and Sharded mode, where what
	// was published for the user before may not have come. Since is when connections of the user may have begun to miss
	// something; the zero time: they have missed nothing, or Gap is told of it. The goroutine that reads calls it, before anything
	// that comes for the user, and before handshakes that have waited go on. Nil: UserGap is told.
	UserHeard func(user string, since time.Time)

	// Marker is told, by the goroutine that reads, of messages that every instance on this Redis hears at the same place
	// among what is published. Behind one of them all instances can count the same. One is published when a link is up
	// or none has come for a while. It is confirmed by another message, about position.MaxLag later, which all hear at the same place
	// too: who has heard that may name the marker to the others. Only in Pattern mode. Nil: none is published, and none is
	// subscribed to.
	Marker func(text string, confirmed bool)

	// Lost is told, by the goroutine that reads, that the link was lost: what comes next does not continue what came
	// before. Nil: nobody is told.
	Lost func()

	// Arrived is told, by the goroutine that reads, that a read has brought something: what the sink is handed next, until
	// Arrived is called again, came just now, and was published after a time. Nil: nobody is told.
	Arrived func(after time.Time)
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
	if c.Timeout == 0 {
		c.Timeout = c.HeartbeatTimeout
	}
	c.Sharded, c.Needs = c.Mode == Sharded, c.permissions()
	var err error
	if c.Config, err = c.Config.WithDefaults(); err != nil {
		return c, err
	}
	return c, c.check()
}

func (c Config) check() error {
	switch {
	case c.Mode > Sharded:
		return fmt.Errorf("redisfeed: Mode is %d", c.Mode)
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

// Mode is how a feed subscribes to what is published for users.
type Mode uint8

const (
	// Pattern subscribes to user_noti:* and gets what is published for any user, wherever they are connected.
	Pattern Mode = iota
	// PerUser subscribes to user_noti:<user> while the user has a connection here (see [Feed.Acquire]).
	PerUser
	// Sharded is PerUser with the sharded channels of Redis Cluster 7 and later: the backend sends SPUBLISH, and only
	// the shard that the channel belongs to carries it. Broadcasts, groups and commands go through PUBLISH as ever.
	Sharded
)
