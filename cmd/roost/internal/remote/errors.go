package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"syscall"

	"roost/cmd/roost/internal/urlerror"
)

// Unreachable says in words why nothing answered at an address. hint names the source of the address.
func Unreachable(address, hint string, err error) error {
	err = urlerror.Without(err) // the address may have a token in it
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens on %s: is the server running, and is the address right? (%s)", address, hint)
	case errors.As(err, &name) && name.IsNotFound:
		return fmt.Errorf("there is no host called %s (%s)", name.Name, hint)
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%s does not speak TLS: use ws:// or http:// (%s)", address, hint)
	case errors.As(err, &certificate):
		return fmt.Errorf("the certificate of %s is not trusted: %w", address, certificateError(certificate.Err))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT), isTimeout(err):
		return fmt.Errorf("%s does not answer (%s)", address, hint)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%s closed the connection without an answer: is it this server's port, and does it speak TLS? (%s)", address, hint)
	}
	return fmt.Errorf("connecting to %s: %w (%s)", address, err, hint)
}

// RedisError says what went wrong while something was done with a Redis.
func RedisError(doing, address string, err error) error {
	var name *net.DNSError
	if errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &name) && name.IsNotFound || errors.Is(err, context.DeadlineExceeded) {
		return Unreachable(address, "REDIS_HOST and REDIS_PORT, or --redis", err)
	}
	return fmt.Errorf("%s %s: %w", doing, address, err)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// certificateError is err without the names of Go's packages.
func certificateError(err error) error {
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return errors.New("no authority that this system trusts has signed it (trust one of your own with --ca-file)")
	}
	return errors.New(strings.TrimPrefix(err.Error(), "x509: "))
}

// AnswerError is an answer that is not what was asked for.
type AnswerError struct {
	Status int // of HTTP
	err    error
}

// Error implements error.
func (e *AnswerError) Error() string { return e.err.Error() }

// Answered says what a server answered that did not do what it was asked to. Of a page of HTML, a proxy's or another
// server's, only that it is one.
func Answered(address string, response *http.Response, body []byte) error {
	return &AnswerError{response.StatusCode, answered(address, response, body)}
}

func answered(address string, response *http.Response, body []byte) error {
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	said := strings.TrimSpace(string(body))
	switch {
	case kind == "text/html" || strings.HasPrefix(said, "<"):
		return fmt.Errorf("%s answered %s with a page of HTML, which is not from this server: is a proxy, or something else, on that port?", address, response.Status)
	case said == "":
		return fmt.Errorf("%s answered %s", address, response.Status)
	}
	return fmt.Errorf("%s answered %s: %s", address, response.Status, said)
}

// Refusal is the answer of a server that lets a client not in.
type Refusal struct {
	Status int // of HTTP
	err    error
}

// Error implements error.
func (r *Refusal) Error() string { return r.err.Error() }
