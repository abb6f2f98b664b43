package redisnet

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// secure puts TLS on a socket that is connected to addr, and closes it if it fails.
func (d *Dialer) secure(ctx context.Context, conn net.Conn, addr string) (net.Conn, error) {
	cfg := d.TLS
	if host, _, err := net.SplitHostPort(addr); err == nil && cfg.ServerName == "" {
		cfg = cfg.Clone()
		cfg.ServerName = host
	}
	// A link has as long for all it does: it is this that should end first, and say what it was.
	ctx, cancel := context.WithTimeout(ctx, d.Timeout*3/4)
	defer cancel()
	secured := tls.Client(conn, cfg)
	err := secured.HandshakeContext(ctx)
	if err == nil {
		err = firstAnswer(ctx, secured)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS handshake with %s: %w", addr, explainTLS(err, cfg.ServerName))
	}
	return secured, nil
}

// firstAnswer waits for any answer to a PING. In TLS 1.3 a client has done its part of the handshake before the server
// looks at its certificate: only what is read next says whether that was good enough, and what is written meanwhile
// breaks the connection in a way that says nothing.
func firstAnswer(ctx context.Context, conn *tls.Conn) error {
	defer context.AfterFunc(ctx, func() { conn.NetConn().Close() })()
	// Whether this works says nothing: what the server said before it closed can be read all the same.
	_, _ = io.WriteString(conn, "*1\r\n$4\r\nPING\r\n")
	var b [1]byte
	for range maxFirstAnswer {
		if _, err := conn.Read(b[:]); err != nil {
			return cmp.Or(context.Cause(ctx), err)
		}
		if b[0] == '\n' {
			return nil
		}
	}
	return fmt.Errorf("%w: no line in answer to PING", ErrBadReply)
}

// maxFirstAnswer is far more than any answer to PING has, in bytes: PONG, or that a password is wanted.
const maxFirstAnswer = 1 << 10

// explainTLS puts what an operator can do about it in front of the library's words.
func explainTLS(err error, serverName string) error {
	var (
		stranger x509.UnknownAuthorityError
		host     x509.HostnameError
		invalid  x509.CertificateInvalidError
		plain    tls.RecordHeaderError
		remote   *net.OpError
	)
	switch {
	case errors.As(err, &stranger):
		return fmt.Errorf("nobody that is trusted signed redis's certificate (REDIS_TLS_CA_FILE): %w", err)
	case errors.As(err, &host):
		return fmt.Errorf("redis's certificate is not for %s (REDIS_TLS_SERVER_NAME): %w", serverName, err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("redis's certificate has expired, or is not valid yet: %w", err)
	case errors.As(err, &plain):
		return fmt.Errorf("what answers on this port speaks no TLS (REDIS_PORT, REDIS_USE_TLS): %w", err)
	case errors.Is(err, context.DeadlineExceeded): // a Redis without TLS waits for the end of a line
		return fmt.Errorf("no answer, as from a port that speaks no TLS (REDIS_PORT, REDIS_USE_TLS): %w", err)
	case errors.As(err, &remote) && remote.Op == "remote error" && !strings.Contains(err.Error(), "protocol version"):
		return fmt.Errorf("redis refuses our certificate, or that we have none (REDIS_TLS_CERT_FILE, REDIS_TLS_KEY_FILE): %w", err)
	}
	return err
}
