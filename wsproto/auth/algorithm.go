package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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

// keyPairAlgorithm reports whether an algorithm is known, and tokens of it are signed with a key pair.
func keyPairAlgorithm(name string) bool {
	return slices.Contains(KnownAlgorithms(), name) && !SecretAlgorithm(name)
}
