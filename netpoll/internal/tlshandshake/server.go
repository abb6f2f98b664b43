package tlshandshake

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Options say how handshakes are done. The zero value lacks only certificates.
type Options struct {
	// Certificates are chosen by the name the client asks for; the first one serves unknown names and
	// clients that ask for none. Leaf should be set, or each handshake parses it.
	Certificates []tls.Certificate

	// GetCertificate, where it is set, is asked before Certificates, as in tls.Config: for challenges
	// of an ACME server. It must not wait for anything, as a worker calls it.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

	// MinVersion is tls.VersionTLS12, the default, or tls.VersionTLS13.
	MinVersion uint16

	// ClientCAs, where it is set, makes every client show a certificate that one of these has signed.
	ClientCAs *x509.CertPool

	// Protocols are offered by ALPN; http/1.1 by default.
	Protocols []string
}

// Server is what the handshakes of one port have in common. Any goroutine may use it.
type Server struct {
	mu     sync.Mutex // serializes changes
	config atomic.Pointer[tls.Config]

	heavy error // why every connection is served with crypto/tls; nil where the light way works
}

// New makes a Server, and runs the self-test: see Light. The error says which option is missing or wrong.
func New(o Options) (*Server, error) {
	if len(o.Certificates) == 0 && o.GetCertificate == nil {
		return nil, errors.New("TLS needs a certificate")
	}
	switch o.MinVersion {
	case 0:
		o.MinVersion = tls.VersionTLS12
	case tls.VersionTLS12, tls.VersionTLS13:
	default:
		return nil, fmt.Errorf("the least TLS version is 1.2 or 1.3, not %s", tls.VersionName(o.MinVersion))
	}
	if len(o.Protocols) == 0 {
		o.Protocols = []string{"http/1.1"}
	}
	s := newServer(o)
	s.heavy = selfTest()
	return s, nil
}

func newServer(o Options) *Server {
	config := &tls.Config{
		Certificates:   o.Certificates,
		GetCertificate: o.GetCertificate,
		MinVersion:     o.MinVersion,
		NextProtos:     o.Protocols,
		// Frames are small, and what is batched goes out in one write.
		DynamicRecordSizingDisabled: true,
	}
	setClientCAs(config, o.ClientCAs)
	s := new(Server)
	s.config.Store(config)
	s.SetTicketKeys([][32]byte{newTicketKey()})
	return s
}

// Light says why connections of TLS 1.3 are served with all of crypto/tls kept for each, 7.7 KB in place of 96 bytes,
// and nil where they are not: the self-test found that this Go release, or its FIPS mode, does
// not do what the light way needs.
func (s *Server) Light() error { return s.heavy }

// SetCertificates replaces the certificates of handshakes that begin from now on.
func (s *Server) SetCertificates(certificates []tls.Certificate) {
	s.change(func(c *tls.Config) { c.Certificates = certificates })
}

// SetTicketKeys replaces the keys of session tickets. The first one is for new tickets; tickets of all are taken.
// crypto/tls takes tickets for seven days. There has to be a key.
func (s *Server) SetTicketKeys(keys [][32]byte) {
	s.change(func(c *tls.Config) { c.SetSessionTicketKeys(keys) })
}

// SetClientCAs replaces the authorities that sign client certificates; nil asks clients for none.
func (s *Server) SetClientCAs(pool *x509.CertPool) {
	s.change(func(c *tls.Config) { setClientCAs(c, pool) })
}

func setClientCAs(c *tls.Config, pool *x509.CertPool) {
	c.ClientCAs, c.ClientAuth = pool, tls.NoClientCert
	if pool != nil {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
}

// change replaces the configuration whole: handshakes under way go on with theirs.
func (s *Server) change(f func(*tls.Config)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	config := s.config.Load().Clone()
	f(config)
	s.config.Store(config)
}

func newTicketKey() (key [32]byte) {
	_, _ = rand.Read(key[:]) // never fails: it ends the process where it would
	return key
}
