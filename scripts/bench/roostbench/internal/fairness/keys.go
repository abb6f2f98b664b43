package fairness

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Keys is an issuer with key pairs, whose public keys are at URL as a JWKS.
type Keys struct {
	URL      string
	pairs    []*rsa.PrivateKey
	stranger *rsa.PrivateKey
	server   *http.Server
}

// keyCount is how many keys the issuer has.
const keyCount = 8

// NewKeys makes keys and serves them on a port of 127.0.0.1 until Close.
func NewKeys() (*Keys, error) {
	k := &Keys{}
	for range keyCount + 1 {
		pair, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, fmt.Errorf("making a key: %w", err)
		}
		k.pairs = append(k.pairs, pair)
	}
	k.stranger, k.pairs = k.pairs[keyCount], k.pairs[:keyCount]
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	set := k.set()
	k.URL = "http://" + listener.Addr().String() + "/jwks.json"
	k.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(set)
	})}
	go func() { _ = k.server.Serve(listener) }()
	return k, nil
}

// Close ends serving.
func (k *Keys) Close() error { return k.server.Close() }

func kid(n int) string { return fmt.Sprintf("key-%d", n) }

// set is the JWKS (RFC 7517).
func (k *Keys) set() []byte {
	type key struct {
		Kty string `json:"kty"`
		Alg string `json:"alg"`
		Use string `json:"use"`
		Kid string `json:"kid"`
		N   string `json:"n"`
		E   string `json:"e"`
	}
	var all struct {
		Keys []key `json:"keys"`
	}
	for i, pair := range k.pairs {
		all.Keys = append(all.Keys, key{
			"RSA", "RS256", "sig", kid(i), base64.RawURLEncoding.EncodeToString(pair.N.Bytes()),
			base64.RawURLEncoding.EncodeToString(big.NewInt(int64(pair.E)).Bytes()),
		})
	}
	text, _ := json.Marshal(all) // strings only
	return text
}

func sign(pair *rsa.PrivateKey, kid, user string) string {
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.RegisteredClaims{
		Subject: user, IssuedAt: jwt.NewNumericDate(time.Now()), ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	})
	token.Header["kid"] = kid
	text, _ := token.SignedString(pair) // fails for keys that are no RSA keys only
	return text
}

// Good signs as the issuer does. Any goroutine may call it.
func (k *Keys) Good(user string) string { return sign(k.pairs[0], kid(0), user) }

// junk are tokens that somebody else has signed: with names of the issuer's keys, and with names of none.
func (k *Keys) junk() []string {
	var all []string
	for i := range 2 * keyCount {
		name := kid(i)
		if i >= keyCount {
			name = fmt.Sprintf("none-%x", mrand.Uint64())
		}
		all = append(all, sign(k.stranger, name, "mallory"))
	}
	return all
}
