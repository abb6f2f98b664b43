package wsproto

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math"

	"github.com/golang-jwt/jwt/v5"
)

// ErrPublicKey is wrapped by the error of [NewPublicKey].
var ErrPublicKey = errors.New("not a key for tokens")

// The sizes of RSA keys. RFC 7518 section 3.3 wants 2048 bits at least; the time to verify
// grows with the square of the size.
const (
	minRSA = 2048
	maxRSA = 8192
)

// PublicKey is a public key of who issues the tokens. What kind of key it is says which one algorithm it is good for
// (RFC 8725 section 3.1): the token doesn't get to choose. Static after construction; any goroutine.
type PublicKey struct {
	id  string // kid; empty: it has none
	alg string
	key crypto.PublicKey
}

// NewPublicKey takes a key for RS256 (a *[rsa.PublicKey] of 2048 to 8192 bits), ES256 (a *[ecdsa.PublicKey] on P-256)
// or EdDSA (an [ed25519.PublicKey]). id is its kid (RFC 7515 section 4.1.4), empty if it has none. The error wraps
// [ErrPublicKey] and says what would be right; it never prints the key.
func NewPublicKey(id string, key any) (PublicKey, error) {
	alg, err := algorithmOf(key)
	if err != nil {
		return PublicKey{}, fmt.Errorf("%w: %w", ErrPublicKey, err)
	}
	return PublicKey{id: id, alg: alg, key: key}, nil
}

func algorithmOf(key any) (string, error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return jwt.SigningMethodRS256.Name, checkRSA(k)
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return "", fmt.Errorf("an ECDSA key on %s: ES256 needs P-256", k.Params().Name)
		}
		return jwt.SigningMethodES256.Name, nil
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return "", fmt.Errorf("an Ed25519 key of %d bytes: it has %d", len(k), ed25519.PublicKeySize)
		}
		return jwt.SigningMethodEdDSA.Alg(), nil
	}
	return "", fmt.Errorf("a %T: right are RSA (RS256), ECDSA on P-256 (ES256) and Ed25519 (EdDSA)", key)
}

func checkRSA(key *rsa.PublicKey) error {
	if bits := key.N.BitLen(); bits < minRSA || bits > maxRSA {
		return fmt.Errorf("an RSA key of %d bits: %d at least, %d at most", bits, minRSA, maxRSA)
	}
	if key.E < 3 || key.E%2 == 0 || key.E > math.MaxInt32 {
		return fmt.Errorf("an RSA key with the exponent %d: right is 65537", key.E)
	}
	return nil
}

// ID returns the key's kid, empty if it has none.
func (k PublicKey) ID() string { return k.id }

// Algorithm returns the algorithm that the key is good for, as a token's alg spells it.
func (k PublicKey) Algorithm() string { return k.alg }

// Equal reports whether two are the same key under the same kid.
func (k PublicKey) Equal(other PublicKey) bool {
	comparable, ok := k.key.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.id == other.id && comparable.Equal(other.key)
}
