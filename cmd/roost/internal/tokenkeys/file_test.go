package tokenkeys

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roost/wsproto/auth"
)

func block(kind string, der []byte, headers map[string]string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der, Headers: headers}))
}

func publicPEM(t *testing.T, key crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("PUBLIC KEY", der, nil)
}

func certificatePEM(t *testing.T, key crypto.Signer) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", der, nil)
}

// utf16Text is ASCII as PowerShell redirects it into a file.
func utf16Text(ascii string) string {
	text := "\xff\xfe"
	for _, c := range []byte(ascii) {
		text += string([]byte{c, 0})
	}
	return text
}

func TestReadPEM(t *testing.T) {
	t.Parallel()
	rsaKey, ec, ed := newRSA(), newEC(t, elliptic.P256()), newEd(t)
	edDER, err := x509.MarshalPKIXPublicKey(ed.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ text, want string }{
		"RSA":                            {publicPEM(t, rsaKey.Public()), "RS256"},
		"RSA, PKCS 1":                    {block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey), nil), "RS256"},
		"ECDSA":                          {publicPEM(t, ec.Public()), "ES256"},
		"Ed25519":                        {publicPEM(t, ed.Public()), "EdDSA"},
		"certificate":                    {certificatePEM(t, rsaKey), "RS256"},
		"several, and text":              {"the old one:\n" + publicPEM(t, ec.Public()) + "\nthe new one:\r\n" + certificatePEM(t, ed), "ES256 EdDSA"},
		"of Windows":                     {strings.ReplaceAll(publicPEM(t, ed.Public()), "\n", "\r\n"), "EdDSA"},
		"of an editor of Windows":        {"\ufeff" + strings.ReplaceAll(publicPEM(t, ed.Public()), "\n", "\r\n"), "EdDSA"},
		"of PowerShell":                  {utf16Text(publicPEM(t, ec.Public())), "ES256"},
		"without a line feed at the end": {strings.TrimSpace(publicPEM(t, ed.Public())), "EdDSA"},
		"with a kid":                     {block("PUBLIC KEY", edDER, map[string]string{"kid": "2026"}), "EdDSA:2026"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "keys.pem")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			keys, err := ReadFile(path, auth.DefaultAlgorithms())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, k := range keys {
				got = append(got, strings.TrimSuffix(strings.Join(k.Algorithms(), "/")+":"+k.ID(), ":"))
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("got %v, want %s", got, test.want)
			}
		})
	}
}

// A file that can't be used is refused with the reason, and the error holds no key.
func TestBadPEM(t *testing.T) {
	t.Parallel()
	rsaKey, ec, ed := newRSA(), newEC(t, elliptic.P256()), newEd(t)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ed)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	good := publicPEM(t, ed.Public())
	short := &rsa.PublicKey{N: new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 1023), big.NewInt(1)), E: 65537}
	for name, test := range map[string]struct{ text, want string }{
		"empty":              {"", "no public key in it: PEM is wanted"},
		"no PEM":             {"a secret of the tests", "no public key in it"},
		"a JWK":              {`{"kty":"OKP"}`, "no public key in it"},
		"private":            {block("PRIVATE KEY", pkcs8, nil), "block 1: a private key: Roost needs the public one only"},
		"private RSA":        {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey), nil), "block 1: a private key"},
		"private EC, second": {good + block("EC PRIVATE KEY", sec1, nil), "block 2: a private key"},
		"encrypted":          {block("ENCRYPTED PRIVATE KEY", pkcs8, nil), "block 1: a private key"},
		"a request":          {block("CERTIFICATE REQUEST", nil, nil), `a "CERTIFICATE REQUEST": right are`},
		"no key inside":      {block("PUBLIC KEY", []byte("nothing"), nil), "block 1: not a PUBLIC KEY"},
		"cut off":            {good + good[:len(good)/2], "2 blocks begin and 1 are whole"},
		"broken, then good":  {strings.Replace(good, "MCo", "M*o", 1) + good, "2 blocks begin and 1 are whole"},
		"short RSA":          {publicPEM(t, short), "an RSA key of 1024 bits: 2048 at least"},
		"P-384":              {publicPEM(t, newEC(t, elliptic.P384()).Public()), "block 1: it is for ES384, and JWT_ALGORITHMS has only HS256, RS256, ES256, EdDSA"},
		"too many":           {strings.Repeat(good, 65), "65 keys: 64 at most"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := readPEM([]byte(test.text), auth.DefaultAlgorithms())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %s", err, test.want)
			}
			for line := range strings.Lines(test.text) {
				if line = strings.TrimSpace(line); len(line) > 30 && !strings.HasPrefix(line, "--") && strings.Contains(err.Error(), line) {
					t.Errorf("a key is in the error: %v", err)
				}
			}
		})
	}
}

func TestBadFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		empty: "no public key in it", dir: "is a directory", filepath.Join(dir, "none"): "no such file", large: "more than 1048576 bytes",
	} {
		if _, err := ReadFile(path, auth.DefaultAlgorithms()); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}
