package netpoll

import (
	"errors"
	"fmt"
	"net"

	"roost/netpoll/internal/tlshandshake"
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
	case tls != nil:
		return fmt.Errorf("netpoll: %s: TLS is not served yet", tls.Addr())
	}
	return nil
}
