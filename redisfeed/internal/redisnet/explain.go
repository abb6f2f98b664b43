package redisnet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/internal/resp"
)

// ErrAuth marks what Redis refused because of the user name, the password or the user's permissions. Waiting does not
// mend it, but a rotated password does, so it is retried like the rest.
var ErrAuth = errors.New("redis refuses us")

// ErrBadReply marks a reply that is not what Redis can have said.
var ErrBadReply = errors.New("redis sent a reply that cannot be understood")

// ReplyError is an error that Redis answered. It is a redis.Error, so that go-redis's functions know it.
type ReplyError string

func (e ReplyError) Error() string { return string(e) }

// RedisError implements redis.Error.
func (ReplyError) RedisError() {}

// Explain puts what an operator can do about it in front of Redis's own words for a refusal.
func (c Config) Explain(err error) error {
	switch {
	case err == nil:
		return nil
	case redis.HasErrorPrefix(err, "unknown command") && strings.Contains(strings.ToUpper(err.Error()), "AUTH"):
		// Redis repeats what it got, and so the password: its words are not passed on.
		return fmt.Errorf("%w: it has no command AUTH (REDIS_PASSWORD and REDIS_USERNAME have to be empty)", ErrAuth)
	case redis.HasErrorPrefix(err, "NOAUTH"):
		return fmt.Errorf("%w: it wants a password and none is configured (REDIS_PASSWORD): %w", ErrAuth, err)
	case redis.IsAuthError(err) && c.Username != "" && c.Password == "":
		return fmt.Errorf("%w: the user has a password and none is configured (REDIS_PASSWORD beside REDIS_USERNAME): %w", ErrAuth, err)
	case redis.IsAuthError(err):
		return fmt.Errorf("%w: wrong user name or password (REDIS_USERNAME, REDIS_PASSWORD): %w", ErrAuth, err)
	case LacksPermission(err):
		return fmt.Errorf("%w: the user lacks a permission, of %s: %w", ErrAuth, c.Needs, err)
	case redis.HasErrorPrefix(err, "This instance has cluster support disabled"):
		return fmt.Errorf("this Redis is not one of a cluster (REDIS_CLUSTER has to be false): %w", err)
	case redis.HasErrorPrefix(err, "MOVED") && len(c.Nodes) == 0:
		return fmt.Errorf("this Redis is one of a cluster (REDIS_CLUSTER has to be true): %w", err)
	case redis.HasErrorPrefix(err, "unknown command") && c.Sharded:
		return fmt.Errorf("this Redis has no sharded channels, which want 7.0 or later (REDIS_FEED): %w", err)
	}
	return explainPort(err)
}

// LacksPermission reports whether Redis refused something because the user's ACL does not allow it. Redis has said in several ways, from
// version to version, that a script may not do something.
func LacksPermission(err error) bool {
	return redis.IsPermissionError(err) || strings.Contains(err.Error(), "user executing the script can't") ||
		strings.Contains(err.Error(), "ACL failure in script")
}

// LocalShortage reports whether an attempt failed for want of something that this host has too little of: descriptors,
// memory for sockets, local ports. Redis may be well.
func LocalShortage(err error) bool {
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

// NotReached reports whether there was no connection, so that surely nothing was sent.
func NotReached(err error) bool {
	var failed *net.OpError
	return errors.As(err, &failed) && failed.Op == "dial"
}

// ErrWantsTLS and the others say what answered in place of a Redis that speaks as configured.
var (
	ErrWantsTLS  = errors.New("this port wants TLS (REDIS_USE_TLS has to be true)")
	errNoTLS     = errors.New("this port speaks no TLS (REDIS_USE_TLS has to be false, or the port is another: REDIS_PORT)")
	errHTTP      = errors.New("what answers there speaks HTTP, it is no Redis (REDIS_HOST, REDIS_PORT)")
	errNotRedis  = errors.New("what answers there is no Redis (REDIS_HOST, REDIS_PORT)")
	errDBMissing = errors.New("this Redis has no database of that number (REDIS_DB)")
)

// explainPort says what the other side is, where its answer shows that it is no Redis as the configuration has it.
func explainPort(err error) error {
	var record tls.RecordHeaderError
	var syntax *resp.SyntaxError
	text := err.Error()
	switch {
	case errors.As(err, &record):
		return fmt.Errorf("%w: %w", errNoTLS, err)
	case strings.Contains(text, `"HTTP/`), strings.Contains(text, "invalid reply: HTTP/"):
		return fmt.Errorf("%w: %w", errHTTP, err)
	case strings.Contains(text, "redis: can't parse"), strings.Contains(text, "redis: invalid reply"), errors.As(err, &syntax):
		return fmt.Errorf("%w: %w", errNotRedis, err)
	case strings.Contains(text, "DB index is out of range"):
		return fmt.Errorf("%w: %w", errDBMissing, err)
	}
	return err
}

// tlsLook is how long the question may take whether a port speaks TLS.
const tlsLook = 2 * time.Second

// WantsTLS asks the other end of a connection that was closed without an answer, by another one, whether it speaks TLS.
// Nothing is said to it but a ClientHello, and its certificate does not matter.
func WantsTLS(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, tlsLook)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	err = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) //nolint:gosec // nothing is sent
	var alert tls.AlertError
	var opErr *net.OpError
	return err == nil || errors.As(err, &alert) || errors.As(err, &opErr) && opErr.Op == "remote error"
}
