package tlscert

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"roost/cmd/roost/internal/textfile"
)

// maxFile is how long a file may be; chains have 10 KB.
const maxFile = 1 << 20

// Pair names the files of one certificate: Cert has it with its chain, Key its private key, both as PEM. One file can be both.
type Pair struct{ Cert, Key string }

// Pairs reads two lists of files, separated by commas, that belong together one by one. certName and keyName are what the
// lists are called in errors.
func Pairs(certName, certs, keyName, keys string) ([]Pair, error) {
	c, k := list(certs), list(keys)
	switch {
	case len(c) == 0 && len(k) == 0:
		return nil, nil
	case len(c) != len(k):
		return nil, fmt.Errorf("%s names %d files and %s %d: each certificate needs the file of its key, in the same order", certName, len(c), keyName, len(k))
	}
	pairs := make([]Pair, len(c))
	for i := range c {
		pairs[i] = Pair{Cert: c[i], Key: k[i]}
	}
	return pairs, nil
}

func list(s string) (items []string) {
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// Set is certificates that can be served, in the order of their pairs. Nobody changes it.
type Set struct {
	Pairs        []Pair
	Certificates []tls.Certificate // Leaf is set

	content [][]byte // of the certificates' files
	keys    [][32]byte
}

// Load reads pairs. The error names the file, what is wrong with it and what would be right.
func Load(pairs []Pair) (*Set, error) {
	if len(pairs) == 0 {
		return nil, errors.New("no certificate is named")
	}
	s := &Set{Pairs: pairs}
	for _, p := range pairs {
		certPEM, err := read(p.Cert)
		if err != nil {
			return nil, fmt.Errorf("the certificate: %w", err)
		}
		keyPEM, err := read(p.Key)
		if err != nil {
			return nil, fmt.Errorf("the key of %s: %w", p.Cert, err)
		}
		certificate, err := parse(p, certPEM, keyPEM)
		if err != nil {
			return nil, err
		}
		s.Certificates = append(s.Certificates, certificate)
		s.content = append(s.content, certPEM)
		s.keys = append(s.keys, digest(keyPEM))
		clear(keyPEM)
	}
	return s, nil
}

// read reads a file. Where this user may not, the error says which user that is: services have one of their own, and keys are root's.
func read(file string) ([]byte, error) {
	text, err := textfile.Read(file, maxFile)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w: user %d may not read it", err, os.Geteuid())
	}
	return text, err
}

func parse(p Pair, certPEM, keyPEM []byte) (c tls.Certificate, err error) {
	if err := holds(p.Cert, certPEM, "CERTIFICATE", "certificate"); err != nil {
		return c, err
	}
	if err := holds(p.Key, keyPEM, "PRIVATE KEY", "private key"); err != nil {
		return c, err
	}
	c, err = tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		if strings.Contains(err.Error(), "private key does not match") || strings.Contains(err.Error(), "private key type does not match") {
			return c, fmt.Errorf("the key in %s is not that of the certificate in %s: they have to be made together", p.Key, p.Cert)
		}
		return c, fmt.Errorf("%s with %s: %w", p.Cert, p.Key, err)
	}
	if c.Leaf == nil {
		if c.Leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
			return c, fmt.Errorf("%s: %w", p.Cert, err)
		}
	}
	if c.Leaf.IsCA && len(c.Certificate) > 1 {
		return c, fmt.Errorf("%s begins with the certificate of an authority (%s): the server's own comes first", p.Cert, c.Leaf.Subject)
	}
	return c, inOrder(p, c)
}

// holds says what is missing in a PEM file, and guesses why.
func holds(file string, b []byte, kind, what string) error {
	found, others := false, []string(nil)
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return fmt.Errorf("%s: the key has a passphrase, and nobody is there to type it: openssl pkey -in %s -out key.pem takes it off", file, file)
		case strings.HasSuffix(block.Type, kind):
			found = true
		default:
			others = append(others, block.Type)
		}
	}
	switch {
	case found:
		return nil
	case len(others) > 0:
		return fmt.Errorf("%s has no %s but %s: are the two files exchanged?", file, what, strings.Join(others, ", "))
	case len(bytes.TrimSpace(b)) == 0:
		return fmt.Errorf("%s is empty", file)
	}
	return fmt.Errorf("%s is not PEM (-----BEGIN …): openssl converts DER and PKCS #12", file)
}

// inOrder checks that each certificate of the chain has signed the one before it.
func inOrder(p Pair, c tls.Certificate) error {
	below := c.Leaf
	for i, der := range c.Certificate[1:] {
		above, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("%s, certificate %d: %w", p.Cert, i+2, err)
		}
		if err := below.CheckSignatureFrom(above); err != nil {
			return fmt.Errorf("%s: certificate %d (%s) did not sign certificate %d (%s): the chain goes from the server's own upwards", p.Cert, i+2, above.Subject, i+1, below.Subject)
		}
		below = above
	}
	return nil
}

// Expires is when the first of the certificates expires, those of their chains included.
func (s *Set) Expires() time.Time {
	var first time.Time
	for _, c := range s.Certificates {
		for _, der := range c.Certificate {
			if x, err := x509.ParseCertificate(der); err == nil && (first.IsZero() || x.NotAfter.Before(first)) {
				first = x.NotAfter
			}
		}
	}
	return first
}

// Names are those that the certificates are for.
func (s *Set) Names() (names []string) {
	for _, c := range s.Certificates {
		names = append(names, namesOf(c.Leaf)...)
	}
	return names
}

func namesOf(leaf *x509.Certificate) []string {
	names := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// Choose is for tls.Config.GetCertificate: the first certificate that is for the name, and that the client's algorithms can check; else the
// first one of all.
func (s *Set) Choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	for i := range s.Certificates {
		if hello.SupportsCertificate(&s.Certificates[i]) == nil {
			return &s.Certificates[i], nil
		}
	}
	return &s.Certificates[0], nil
}

// Files are those of the certificates, separated by commas.
func (s *Set) Files() string {
	var all []string
	for _, p := range s.Pairs {
		all = append(all, p.Cert)
	}
	return strings.Join(all, ", ")
}

// Leaves are the servers' own certificates of a list of files, separated by commas, whose keys are not needed: for who wants to know a server
// by them. None is none.
func Leaves(certs string) (leaves []*x509.Certificate, err error) {
	for _, file := range list(certs) {
		text, err := read(file)
		if err != nil {
			return nil, err
		}
		if err := holds(file, text, "CERTIFICATE", "certificate"); err != nil {
			return nil, err
		}
		var block *pem.Block
		for block, text = pem.Decode(text); block != nil && block.Type != "CERTIFICATE"; block, text = pem.Decode(text) {
		}
		if block == nil {
			return nil, fmt.Errorf("%s has no -----BEGIN CERTIFICATE-----", file)
		}
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		leaves = append(leaves, leaf)
	}
	return leaves, nil
}

func signer(c tls.Certificate) crypto.Signer { return c.PrivateKey.(crypto.Signer) }
