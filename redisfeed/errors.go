package redisfeed

import (
	"errors"
	"fmt"

	"roost/redisfeed/internal/redisnet"
	"roost/redisfeed/publish"
)

var (
	// ErrGaveUp ends Run after an outage that was too long (Config.MaxAttempts); it comes wrapped with the last cause.
	ErrGaveUp = errors.New("redis feed gave up")
	// ErrAuth is wrapped by errors about what Redis refused because of the user name, the password or the user's permissions.
	ErrAuth = redisnet.ErrAuth

	// ErrOverTLS is returned where a feed can't be handed over to another process: what TLS knows of a connection stays with the
	// process that has made it.
	ErrOverTLS = errors.New("links to redis over TLS can't be handed over")

	errReleased  = errors.New("another process has the link")
	errGone      = errors.New("the node is no longer one of the cluster's")
	errDemoted   = errors.New("the node is no longer a master")
	errUnasked   = errors.New("redis answered what was not asked")
	errMoved     = errors.New("the sentinels name another master")
	errSlow      = errors.New("redis did not confirm the subscription in time")
	errHungUp    = errors.New("redis closed the connection at once, as it does with too many clients (its maxclients)")
	errSpent     = errors.New("link is used up")
	errNotYet    = errors.New("not connected yet")
	errStopped   = errors.New("feed has stopped")
	errUnwanted  = errors.New("redis ended the subscription")
	errNoSink    = errors.New("redisfeed: sink is nil")
	errRunBefore = errors.New("redisfeed: Run was called before")
)

// permissions are what the user of the Redis ACL needs.
func (c Config) permissions() string {
	commands := "+psubscribe +subscribe +publish"
	switch c.Mode {
	case PerUser:
		commands += " +unsubscribe"
	case Sharded:
		commands += " +ssubscribe +sunsubscribe +spublish +ping"
	}
	if len(c.Nodes) > 0 {
		commands += " +cluster|slots +cluster|info"
	}
	if c.DB > 0 {
		commands += " +select"
	}
	return fmt.Sprintf("%s &%s* &%s* &%s &%s* &%s*", commands, publish.ChannelPrefix, publish.ControlPrefix, publish.AllChannel, publish.GroupPrefix, heartbeatPrefix)
}
