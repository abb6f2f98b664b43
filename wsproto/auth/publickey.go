package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrPublicKey is wrapped by the error of [NewPublicKey].
var ErrPublicKey = errors.New("not a key for tokens")

// The sizes of RSA keys. RFC 7518 section 3.3 requires 2048 bits at least; the time to verify grows with the square of the
// size.
const (
	minRSA = 2048
	maxRSA = 8192
)

// PublicKey is a public key of the tokens' issuer. The kind of key says which algorithms it may be good for, and
// [PublicKey.Only] which of them it is good for (RFC 8725 section 3.1): the token doesn't choose. Static after construction;
// any goroutine.
type PublicKey struct {
	id   string // kid; empty: it has none
	algs []string
	key  crypto.PublicKey
}

// NewPublicKey takes an RSA key (a *[rsa.PublicKey] of 2048 to 8192 bits), an ECDSA key (an *[ecdsa.PublicKey] on P-256,
// P-384 or P-521) or an Ed25519 key (an [ed25519.PublicKey]), for all algorithms that such a key may be good for. id is
// its kid (RFC 7515 section 4.1.4), empty if it has none. The error wraps [ErrPublicKey] and says what would be right; it
// never prints the key.
func NewPublicKey(id string, key any) (PublicKey, error) {
	algs, err := algorithmsOf(key)
	if err != nil {
		return PublicKey{}, fmt.Errorf("%w: %w", ErrPublicKey, err)
	}
	return PublicKey{id: id, algs: algs, key: key}, nil
}

func algorithmsOf(key any) ([]string, error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, checkRSA(k)
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return []string{"ES256"}, nil
		case elliptic.P384():
			return []string{"ES384"}, nil
		case elliptic.P521():
			return []string{"ES512"}, nil
		}
		return nil, fmt.Errorf("an ECDSA key on %s: right are P-256 (ES256), P-384 (ES384) and P-521 (ES512)", k.Params().Name)
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("an Ed25519 key of %d bytes: it has %d", len(k), ed25519.PublicKeySize)
		}
		return []string{"EdDSA"}, nil
	}
	return nil, fmt.Errorf("a %T: right are RSA, ECDSA and Ed25519 keys", key)
}

// Only returns the key for those of its algorithms that are listed. ok is false if there is none.
func (k PublicKey) Only(algorithms ...string) (only PublicKey, ok bool) {
	only = PublicKey{id: k.id, key: k.key}
	for _, alg := range k.algs {
		if slices.Contains(algorithms, alg) {
			only.algs = append(only.algs, alg)
		}
	}
	return only, len(only.algs) > 0
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

// Algorithms returns the algorithms that the key is good for, as a token's alg spells them.
func (k PublicKey) Algorithms() []string { return slices.Clone(k.algs) }

// fits reports whether the key is good for an algorithm.
func (k *PublicKey) fits(alg string) bool { return slices.Contains(k.algs, alg) }

// Equal reports whether two are the same key, for the same algorithms, under the same kid.
func (k PublicKey) Equal(other PublicKey) bool {
	comparable, ok := k.key.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.id == other.id && slices.Equal(k.algs, other.algs) && comparable.Equal(other.key)
}

// signatureSize is how many bytes the key's signatures have (RFC 7518 sections 3.3 and 3.4, RFC 8032 section 5.1.6).
func (k *PublicKey) signatureSize() int {
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		return key.Size()
	case *ecdsa.PublicKey:
		return 2 * ((key.Params().BitSize + 7) / 8)
	}
	return ed25519.SignatureSize
}
