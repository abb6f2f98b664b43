package tlscert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"roost/internal/plural"
)

// Soon is when a certificate that was not renewed is worth a warning. Let's Encrypt's are renewed with 30 days left.
const Soon = 14 * 24 * time.Hour

// Problem is a use for which a certificate that can be served is not good.
type Problem struct {
	File string
	Text string
	// Fatal means that clients refuse it.
	Fatal bool
}

func (p Problem) String() string { return p.File + ": " + p.Text }

// Problems says what is wrong at a time. names are those that clients use; roots are what they trust, and without
// them chains are not looked at (x509.SystemCertPool has this host's).
func (s *Set) Problems(now time.Time, names []string, roots *x509.CertPool) (all []Problem) {
	for i, c := range s.Certificates {
		file := s.Pairs[i].Cert
		add := func(fatal bool, format string, args ...any) {
			all = append(all, Problem{File: file, Text: fmt.Sprintf(format, args...), Fatal: fatal})
		}
		validity(c, now, add)
		if len(namesOf(c.Leaf)) == 0 {
			add(true, "it is for no name: clients go by the alternative names (subjectAltName) and ignore %q", c.Leaf.Subject.CommonName)
		}
		if len(c.Leaf.ExtKeyUsage) > 0 && !slices.Contains(c.Leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(c.Leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
			add(true, "it is not for servers (extended key usage)")
		}
		if roots != nil {
			chain(c, now, roots, add)
		}
		if key, isRSA := c.Leaf.PublicKey.(*rsa.PublicKey); isRSA {
			add(false, "its key is RSA with %d bits: a core makes about %s full handshakes a second of it, with ECDSA P-256 %s", key.N.BitLen(), perSecond(signer(c)), perSecond(nil))
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(s.Certificates, func(c tls.Certificate) bool { return c.Leaf.VerifyHostname(name) == nil }) {
			all = append(all, Problem{File: s.Pairs[0].Cert, Fatal: true, Text: fmt.Sprintf("no certificate is for %s, but for %s", name, strings.Join(s.Names(), ", "))})
		}
	}
	return all
}

func validity(c tls.Certificate, now time.Time, add func(bool, string, ...any)) {
	for i, der := range c.Certificate {
		x, err := x509.ParseCertificate(der)
		if err != nil {
			continue // Load has read it
		}
		what := "it"
		if i > 0 {
			what = fmt.Sprintf("certificate %d of its chain", i+1)
		}
		switch left := x.NotAfter.Sub(now); {
		case left <= 0:
			add(true, "%s expired on %s", what, day(x.NotAfter))
		case now.Before(x.NotBefore):
			add(true, "%s is valid from %s on only: is the clock right?", what, x.NotBefore.UTC().Format(time.RFC3339))
		case left < Soon && x.NotAfter.Sub(x.NotBefore) > 2*Soon:
			add(false, "%s expires on %s, in %s", what, day(x.NotAfter), plural.Count(int(left.Hours()/24), "day"))
		case left < x.NotAfter.Sub(x.NotBefore)/4: // one for a few days is renewed within these
			add(false, "%s expires on %s", what, x.NotAfter.UTC().Format(time.RFC3339))
		}
	}
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// chain checks that who trusts roots can follow the chain of the file alone.
func chain(c tls.Certificate, now time.Time, roots *x509.CertPool, add func(bool, string, ...any)) {
	intermediates := x509.NewCertPool()
	for _, der := range c.Certificate[1:] {
		if x, err := x509.ParseCertificate(der); err == nil {
			intermediates.AddCert(x)
		}
	}
	if now.Before(c.Leaf.NotBefore) || now.After(c.Leaf.NotAfter) {
		now = c.Leaf.NotAfter // said already
	}
	_, err := c.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: now})
	var unknown x509.UnknownAuthorityError
	switch {
	case err == nil:
	case c.Leaf.CheckSignature(c.Leaf.SignatureAlgorithm, c.Leaf.RawTBSCertificate, c.Leaf.Signature) == nil:
		add(false, "it is signed by itself: only clients that were told trust it")
	case errors.As(err, &unknown) && len(c.Certificate) == 1 && len(c.Leaf.IssuingCertificateURL) == 0: // as authorities of one's own sign
		add(false, "this host does not trust %q, which signed it, and the file has no other certificate: clients have to be told to trust that authority", c.Leaf.Issuer.CommonName)
	case errors.As(err, &unknown) && len(c.Certificate) == 1:
		add(true, "the chain is incomplete: the file has the certificate alone, and not that of %q, which signed it (certbot calls the right file fullchain.pem)", c.Leaf.Issuer.CommonName)
	case errors.As(err, &unknown):
		add(false, "the chain ends with an authority that this host does not trust")
	default:
		add(true, "%v", err)
	}
}

// perSecond measures how many handshakes a core makes with a key, as a rounded number: signatures, and a quarter of a millisecond for
// the rest of each (BenchmarkRun of tlshandshake). Without a key it is one of ECDSA P-256.
func perSecond(key crypto.Signer) string {
	if key == nil {
		fresh, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return "more"
		}
		key = fresh
	}
	digest := sha256.Sum256(nil)
	var opts crypto.SignerOpts = crypto.SHA256
	if _, isRSA := key.Public().(*rsa.PublicKey); isRSA {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	}
	best := time.Hour
	for range 5 {
		start := time.Now()
		if _, err := key.Sign(rand.Reader, digest[:], opts); err != nil {
			return "no"
		}
		best = min(best, time.Since(start))
	}
	n := int(time.Second / (best + 250*time.Microsecond))
	return fmt.Sprint(n / 100 * 100)
}
