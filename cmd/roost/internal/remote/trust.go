package remote

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	"roost/cmd/roost/internal/authorities"
)

// Trust says which servers are believed, beside those whose certificate an authority that the system trusts has signed for the name
// in the address. The zero value is none.
type Trust struct {
	CAFile string // authorities, in PEM; empty: none

	// Own is the server's own certificates, from its files: who has their keys is that server, whatever name it is reached by.
	Own []*x509.Certificate

	Name string // that a certificate has to be for, in place of the address's host
}

// Client makes requests over connections of its own.
func (t Trust) Client() (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.Name}
	if t.CAFile != "" {
		var err error
		if c.RootCAs, err = systemAnd(t.CAFile); err != nil {
			return nil, err
		}
	}
	if len(t.Own) > 0 {
		c.InsecureSkipVerify = true // VerifyConnection does it
		roots := c.RootCAs
		c.VerifyConnection = func(state tls.ConnectionState) error { return t.verify(state, roots) }
	}
	transport.TLSClientConfig = c
	return &http.Client{Transport: transport}, nil
}

// verify believes the own certificates, and those that replace them: trusted ones for one of their names.
func (t Trust) verify(state tls.ConnectionState, roots *x509.CertPool) error {
	shown := state.PeerCertificates
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, above := range shown[1:] {
		options.Intermediates.AddCert(above)
	}
	for _, own := range t.Own {
		if shown[0].Equal(own) {
			return nil
		}
		for _, name := range own.DNSNames {
			options.DNSName = name
			if _, err := shown[0].Verify(options); err == nil {
				return nil
			}
		}
	}
	return &tls.CertificateVerificationError{UnverifiedCertificates: shown,
		Err: errors.New("it is not the one in the settings' files, nor one that replaces it")}
}

// systemAnd are the authorities that the system trusts, and those of a file.
func systemAnd(file string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a system without any
	}
	if _, err := authorities.AddFile(pool, file); err != nil {
		return nil, fmt.Errorf("the authorities to trust: %w", err)
	}
	return pool, nil
}
