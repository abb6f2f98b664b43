package auth

import (
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// ErrAlgorithm is wrapped by the error about [Config].Algorithms.
var ErrAlgorithm = errors.New("auth: not an algorithm for tokens")

// DefaultAlgorithms are those that a [Config] without any allows.
func DefaultAlgorithms() []string { return []string{"HS256", "RS256", "ES256", "EdDSA"} }

// KnownAlgorithms are all that can be allowed, as a token's alg spells them (RFC 7518 section 3.1, RFC 8037 section 3.1).
func KnownAlgorithms() []string {
	return []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// CheckAlgorithms says what is wrong with a list for [Config].Algorithms. The error wraps [ErrAlgorithm].
func CheckAlgorithms(names []string) error {
	for _, name := range names {
		if !slices.Contains(KnownAlgorithms(), name) {
			return fmt.Errorf("%w: %q: known are %s", ErrAlgorithm, name, strings.Join(KnownAlgorithms(), ", "))
		}
	}
	return nil
}

// SecretAlgorithm reports whether tokens of an algorithm are signed with a secret, and not with a key pair.
func SecretAlgorithm(name string) bool { return strings.HasPrefix(name, "HS") }

// allowed are the algorithms that an authenticator allows. Static after construction.
type allowed struct {
	names   []string
	secrets [len(hmacs)]bool // by the index in hmacs
}

func newAllowed(names []string) (*allowed, error) {
	if len(names) == 0 {
		names = DefaultAlgorithms()
	}
	if err := CheckAlgorithms(names); err != nil {
		return nil, err
	}
	a := &allowed{names: slices.Clone(names)}
	for i := range hmacs {
		a.secrets[i] = slices.Contains(names, hmacs[i].method.Name)
	}
	return a, nil
}

// withSecrets reports whether any of them takes a secret.
func (a *allowed) withSecrets() bool { return slices.Contains(a.secrets[:], true) }

// hmacAlgorithm is how tokens are signed with a secret.
type hmacAlgorithm struct {
	method *jwt.SigningMethodHMAC
	quoted string // its name as JSON has it
	size   int    // of a signature, in bytes
	hash   func() hash.Hash
}

// hmacs are told apart by the length of their signatures. Never changed.
var hmacs = [...]hmacAlgorithm{
	{jwt.SigningMethodHS256, `"HS256"`, sha256.Size, sha256.New},
	{jwt.SigningMethodHS384, `"HS384"`, sha512.Size384, sha512.New384},
	{jwt.SigningMethodHS512, `"HS512"`, sha512.Size, sha512.New},
}

// hmacOf is the index in hmacs of the algorithm whose signatures have so many characters in base64.
func hmacOf(characters int) (kind int, ok bool) {
	for i := range hmacs {
		if tokenBase64.EncodedLen(hmacs[i].size) == characters {
			return i, true
		}
	}
	return 0, false
}
