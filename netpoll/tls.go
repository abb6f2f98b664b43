package netpoll

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"net"
	"strings"
	"sync"
	"sync/atomic"

	"roost/netpoll/internal/tlshandshake"
	"roost/netpoll/internal/tlsrecord"
)

// TLSOptions say how TLS handshakes are done: Certificates or GetCertificate, MinVersion, ClientCAs, and Protocols for ALPN.
// The zero value lacks only certificates. A client that negotiates AcmeProtocol has its connection closed after the handshake.
type TLSOptions = tlshandshake.Options

// TLS does the handshakes of the TLS port, for Config.TLS. Any goroutine may replace its certificates (SetCertificates), the
// keys of session tickets (SetTicketKeys) and the authorities of client certificates (SetClientCAs), for handshakes that
// begin from then on. Light says why connections of TLS 1.3 cost more memory than they should; nil: they don't.
type TLS = tlshandshake.Server

// NewTLS checks the options, and tests in memory what the record layer relies on; that takes a few milliseconds.
func NewTLS(o TLSOptions) (*TLS, error) { return tlshandshake.New(o) }

// AcmeProtocol is the protocol by which an ACME server asks for a certificate that proves who owns the name (RFC 8737). It
// belongs into TLSOptions.Protocols, behind "http/1.1", where GetCertificate answers such challenges.
const AcmeProtocol = "acme-tls/1"

// checkListeners says what is wrong with the listeners that Serve got.
func (s *Server) checkListeners(plain, tls *net.TCPListener) error {
	switch {
	case plain == nil && tls == nil:
		return errors.New("netpoll: Serve needs a listener")
	case tls != nil && s.cfg.TLS == nil:
		return errors.New("netpoll: a listener for TLS needs Config.TLS")
	}
	return nil
}

// TLSHandshake is a kind of TLS handshakes that ended well, by which they are counted.
type TLSHandshake struct {
	Version string // 1.3 or 1.2
	Suite   string // as crypto/tls names it
	Resumed bool   // by a session ticket
}

// TLSFailure is a kind of TLS connections that ended with a fatal alert.
type TLSFailure struct {
	Alert string // as RFC 8446 names it
	From  string // who sent it: "server" or "client"
}

// tlsStats is what is counted of TLS on all loops.
type tlsStats struct {
	handshakes counts[TLSHandshake]
	failures   counts[TLSFailure]
}

// counts counts by a kind. Any goroutine. The zero value is empty.
type counts[K comparable] struct {
	mu sync.Mutex
	of map[K]uint64 // guarded by mu
}

func (c *counts[K]) add(kind K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = make(map[K]uint64)
	}
	c.of[kind]++
}

func (c *counts[K]) copy() map[K]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.of)
}

// versionName is a version as it is counted: 1.3.
func versionName(version uint16) string { return strings.TrimPrefix(tls.VersionName(version), "TLS ") }

// suiteName is a cipher suite as it is counted.
func suiteName(suite uint16) string { return tls.CipherSuiteName(suite) }

// ofVersion is the gauge of connections of a TLS version.
func (st *loopStats) ofVersion(version uint16) *atomic.Int64 {
	if version == tls.VersionTLS13 {
		return &st.TLS13
	}
	return &st.TLS12
}

// countTLSFailure counts the end of a connection by a fatal alert. Clients can make up alerts: unknown ones are one kind.
func (c *conn) countTLSFailure(err error) {
	kind := TLSFailure{Alert: "other", From: "server"}
	var violation *tlsrecord.Error
	if errors.As(err, &violation) {
		if violation.Remote {
			kind.From = "client"
		}
		if name := violation.Alert.String(); !strings.HasPrefix(name, "alert ") {
			kind.Alert = name
		}
	}
	c.loop.server.tls.failures.add(kind)
}

// logTLSFailed writes a line about a TLS handshake that failed, at level debug.
func (h *pendingHandshake) logTLSFailed(err error) {
	l := h.conn.loop
	log, ctx := l.server.log, context.Background()
	if !log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := [3]slog.Attr{slog.String("problem", err.Error())}
	log.LogAttrs(ctx, slog.LevelDebug, "a TLS handshake failed", l.appendCaller(attrs[:1], h.client, h.peer)...)
}
