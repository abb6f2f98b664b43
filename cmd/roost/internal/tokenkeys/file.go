package tokenkeys

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"roost/cmd/roost/internal/textfile"
	"roost/wsproto/auth"
)

// maxFile bounds a key file, in bytes: auth.MaxPublic certificates fit.
const maxFile = 1 << 20

// ReadFile reads the public keys of a PEM file, for those of their algorithms that are listed. The error says what is
// wrong with which block, and prints nothing of what is in it.
func ReadFile(path string, algorithms []string) ([]auth.PublicKey, error) {
	text, err := textfile.Read(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("%w: a file with public keys in PEM is wanted", err)
	}
	keys, err := readPEM(text, algorithms)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

var errNoBlock = errors.New("no public key in it: PEM is wanted, which begins with -----BEGIN PUBLIC KEY-----")

// readPEM reads the keys of all blocks. A block that can't be used makes the whole file wrong: whoever put it there
// counts on it.
func readPEM(text []byte, algorithms []string) ([]auth.PublicKey, error) {
	begun := bytes.Count(text, []byte("-----BEGIN "))
	var keys []auth.PublicKey
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		key, err := readBlock(block, algorithms)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", len(keys)+1, err)
		}
		keys = append(keys, key)
	}
	switch {
	case begun == 0:
		return nil, errNoBlock
	case len(keys) != begun: // pem.Decode passes over what is broken
		return nil, fmt.Errorf("%d blocks begin and %d are whole: one is cut off or is no base64", begun, len(keys))
	case len(keys) > auth.MaxPublic:
		return nil, fmt.Errorf("%d keys: %d at most", len(keys), auth.MaxPublic)
	}
	return keys, nil
}

// readBlock reads one key. Its kid is the block's header kid, if it has that header: PEM itself has no kid.
func readBlock(block *pem.Block, algorithms []string) (auth.PublicKey, error) {
	public, err := parseBlock(block)
	if err != nil {
		return auth.PublicKey{}, err
	}
	key, err := auth.NewPublicKey(block.Headers["kid"], public)
	if err != nil {
		return auth.PublicKey{}, err
	}
	return allowed(key, algorithms)
}

func parseBlock(block *pem.Block) (any, error) {
	if strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return nil, errors.New("a private key: Roost needs the public one only, and nobody but the issuer should have" +
			" this one (make the other with: openssl pkey -pubout)")
	}
	var key any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = certificate.PublicKey
		}
	default:
		return nil, fmt.Errorf("a %.40q: right are PUBLIC KEY, RSA PUBLIC KEY and CERTIFICATE", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("not a %s: %w", block.Type, err)
	}
	return key, nil
}
