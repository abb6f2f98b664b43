package redisfeed

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrGaveUp ends Run after an outage that was too long (Config.MaxAttempts); it comes wrapped with the last cause.
	ErrGaveUp = errors.New("redis feed gave up")
	// ErrAuth marks an attempt or a publish that Redis refused because of the user name, the password or the
	// user's permissions. Waiting does not mend it, but a rotated password does, so it is retried like the rest.
	ErrAuth = errors.New("redis refuses us")

	errNoMaster  = errors.New("no sentinel says where the master is")
	errNoCluster = errors.New("no node of the cluster says which node has which slots (REDIS_ADDRS)")
	errGone      = errors.New("the node is no longer one of the cluster's")
	errDemoted   = errors.New("the node is no longer a master")
	errOrder     = errors.New("redis answered what was not asked")
	errMoved     = errors.New("the sentinels name another master")
	errSilent    = errors.New("nothing came from redis")
	errSlow      = errors.New("redis did not confirm the subscription in time")
	errHungUp    = errors.New("redis closed the connection at once, as it does with too many clients (its maxclients)")
	errSpent     = errors.New("link is used up")
	errBadReply  = errors.New("redis sent a reply that cannot be understood")
	errNotYet    = errors.New("not connected yet")
	errStopped   = errors.New("feed has stopped")
	errUnwanted  = errors.New("redis ended the subscription")
	errNoSink    = errors.New("redisfeed: sink is nil")
	errRunBefore = errors.New("redisfeed: Run was called before")
)

// explain puts what an operator can do about it in front of Redis's own words for a refusal.
func (c Config) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case redis.HasErrorPrefix(err, "NOAUTH"):
		return fmt.Errorf("%w: it wants a password and none is configured (REDIS_PASSWORD): %w", ErrAuth, err)
	case redis.IsAuthError(err) && c.Username != "" && c.Password == "":
		return fmt.Errorf("%w: the user has a password and none is configured (REDIS_PASSWORD beside REDIS_USERNAME): %w", ErrAuth, err)
	case redis.IsAuthError(err):
		return fmt.Errorf("%w: wrong user name or password (REDIS_USERNAME, REDIS_PASSWORD): %w", ErrAuth, err)
	case redis.IsPermissionError(err):
		return fmt.Errorf("%w: the user lacks a permission, of %s: %w", ErrAuth, c.permissions(), err)
	case redis.HasErrorPrefix(err, "This instance has cluster support disabled"):
		return fmt.Errorf("this Redis is not one of a cluster (REDIS_CLUSTER has to be false): %w", err)
	case redis.HasErrorPrefix(err, "MOVED") && len(c.Nodes) == 0:
		return fmt.Errorf("this Redis is one of a cluster (REDIS_CLUSTER has to be true): %w", err)
	case redis.HasErrorPrefix(err, "unknown command") && c.Mode == Sharded:
		return fmt.Errorf("this Redis has no sharded channels, which want 7.0 or later (REDIS_FEED): %w", err)
	}
	return c.explainPort(err)
}

// localShortage reports whether an attempt failed for want of something that this host has too little of: descriptors,
// memory for sockets, local ports. Redis may be well.
func localShortage(err error) bool {
	return fails(err, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL)
}

// fails reports whether the kernel's answer to what failed is one of those.
func fails(err error, answers ...syscall.Errno) bool {
	// A look-up of a name keeps only the words of it.
	var lookup *net.DNSError
	isLookup := errors.As(err, &lookup)
	return slices.ContainsFunc(answers, func(errno syscall.Errno) bool {
		return errors.Is(err, errno) || isLookup && strings.Contains(lookup.Err, errno.Error())
	})
}

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
	return fmt.Sprintf("%s &%s* &%s* &%s &%s* &%s*", commands, ChannelPrefix, ControlPrefix, AllChannel, GroupPrefix, heartbeatPrefix)
}

// presenceNeeds is what the user of the Redis ACL needs for presence.
const presenceNeeds = "+evalsha +eval +time +zadd +zrem +zremrangebyscore +zrange +pexpireat +publish ~" +
	OnlinePrefix + "* &" + PresenceChannel

// explainPresence is explain for what concerns presence. Redis has said in several ways, from version to version, that a
// script may not do something.
func (c Config) explainPresence(err error) error {
	if redis.IsPermissionError(err) || strings.Contains(err.Error(), "user executing the script can't") ||
		strings.Contains(err.Error(), "ACL failure in script") {
		return fmt.Errorf("%w: the user lacks a permission for presence, of %s: %w", ErrAuth, presenceNeeds, err)
	}
	return c.explain(err)
}
