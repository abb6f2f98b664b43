package roosttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// KeyPair is a key pair that tokens are signed with.
type KeyPair struct {
	ID      string // kid
	method  jwt.SigningMethod
	private crypto.Signer
}

// NewKeyPair makes a key pair for an algorithm of RSA, ECDSA or EdDSA.
func NewKeyPair(t testing.TB, alg, kid string) *KeyPair {
	t.Helper()
	var private crypto.Signer
	var err error
	switch alg {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	default:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &KeyPair{ID: kid, method: jwt.GetSigningMethod(alg), private: private}
}

// Token is a good token of a user, for an hour.
func (k *KeyPair) Token(t testing.TB, user string) string {
	t.Helper()
	return k.Sign(t, k.ID, Claims{"sub": user, "exp": time.Now().Add(time.Hour).Unix()})
}

// Sign makes a token with a kid, none if that is empty.
func (k *KeyPair) Sign(t testing.TB, kid string, claims Claims) string {
	t.Helper()
	token := jwt.NewWithClaims(k.method, jwt.MapClaims(claims))
	if kid != "" {
		token.Header["kid"] = kid
	}
	signed, err := token.SignedString(k.private)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// PEM is the public key as a file has it.
func (k *KeyPair) PEM(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// PrivatePEM is the key that no file of a server should have.
func (k *KeyPair) PrivatePEM(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// JWK is the public key as a JWKS has it.
func (k *KeyPair) JWK() map[string]string {
	text := base64.RawURLEncoding.EncodeToString
	all := map[string]string{"kid": k.ID, "use": "sig", "alg": k.method.Alg()}
	switch public := k.private.Public().(type) {
	case *rsa.PublicKey:
		all["kty"], all["n"], all["e"] = "RSA", text(public.N.Bytes()), text(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic(err) // all curves have them
		}
		half := len(point) / 2
		all["kty"], all["crv"], all["x"], all["y"] = "EC", public.Params().Name, text(point[1:1+half]), text(point[1+half:])
	case ed25519.PublicKey:
		all["kty"], all["crv"], all["x"] = "OKP", "Ed25519", text(public)
	}
	return all
}

// Issuer publishes a JWKS, on loopback.
type Issuer struct {
	URL     string
	Fetches atomic.Int64 // of the JWKS, the failed too

	mu   sync.Mutex
	keys []*KeyPair // guarded by mu, as the next
	down bool
}

// NewIssuer starts an issuer that publishes these keys, until the test ends.
func NewIssuer(t testing.TB, keys ...*KeyPair) *Issuer {
	t.Helper()
	i := &Issuer{keys: keys}
	server := httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(server.Close)
	i.URL = server.URL + "/.well-known/jwks.json"
	return i
}

// Publish replaces the keys.
func (i *Issuer) Publish(keys ...*KeyPair) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

// SetDown makes the issuer answer 500, or no longer.
func (i *Issuer) SetDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

func (i *Issuer) serve(w http.ResponseWriter, _ *http.Request) {
	i.Fetches.Add(1)
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.down {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	set := map[string][]map[string]string{"keys": {}}
	for _, k := range i.keys {
		set["keys"] = append(set["keys"], k.JWK())
	}
	_ = json.NewEncoder(w).Encode(set)
}
