package redisnet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"roost/redisfeed/internal/resp"
)

// ErrWantsTLS and the others say what answers instead of a Redis that speaks as it is expected to.
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
