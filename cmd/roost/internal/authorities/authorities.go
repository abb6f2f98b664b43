// Package authorities reads files with the certificates of authorities that are trusted.
package authorities

import (
	"crypto/x509"
	"errors"
	"fmt"

	"roost/cmd/roost/internal/textfile"
)

// maxFile bounds a file, in bytes: the authorities that a system knows have 200 KiB.
const maxFile = 4 << 20

// ErrNoCertificate is why a file can't be used that has no certificate.
var ErrNoCertificate = errors.New("has no certificate in it: PEM is wanted, which begins with -----BEGIN CERTIFICATE-----")

// AddFile adds the certificates of a file in PEM to a pool, and returns the file's text. The error names the file: it can't be read,
// or wraps ErrNoCertificate.
func AddFile(pool *x509.CertPool, path string) (text []byte, err error) {
	if text, err = textfile.Read(path, maxFile); err != nil {
		return nil, err
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s %w", path, ErrNoCertificate)
	}
	return text, nil
}
