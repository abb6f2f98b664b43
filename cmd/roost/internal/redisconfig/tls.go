package redisconfig

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"roost/cmd/roost/internal/authorities"
	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/textfile"
)

// maxTLSFile bounds the file of a certificate or a key, in bytes.
const maxTLSFile = 4 << 20

// redisTLS is how Redis is connected to. The error names the variable whose file can't be used.
func redisTLS(cfg config.Config) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.RedisTLSServerName}
	if path := cfg.RedisTLSCAFile; path != "" {
		c.RootCAs = x509.NewCertPool()
		if _, err := authorities.AddFile(c.RootCAs, path); err != nil {
			return nil, fmt.Errorf("REDIS_TLS_CA_FILE: %w", err)
		}
	}
	if cfg.RedisTLSCertFile == "" {
		return c, nil
	}
	if _, err := ownCertificate(cfg); err != nil {
		return nil, err
	}
	// Read each time: certificates are renewed more often than servers are started.
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return ownCertificate(cfg) }
	return c, nil
}

// ownCertificate reads what Redis is shown.
func ownCertificate(cfg config.Config) (*tls.Certificate, error) {
	cert, err := textfile.Read(cfg.RedisTLSCertFile, maxTLSFile)
	if err != nil {
		return nil, fmt.Errorf("REDIS_TLS_CERT_FILE: %w", err)
	}
	key, err := textfile.Read(cfg.RedisTLSKeyFile, maxTLSFile)
	if err != nil {
		return nil, fmt.Errorf("REDIS_TLS_KEY_FILE: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("REDIS_TLS_CERT_FILE, REDIS_TLS_KEY_FILE: %s and %s are no certificate and its key in PEM: %w",
			cfg.RedisTLSCertFile, cfg.RedisTLSKeyFile, err)
	}
	return &pair, nil
}
