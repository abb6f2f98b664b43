package auth

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// MaxPrevious bounds [Keys].Previous: a token that is good with none of them is tried with each.
	MaxPrevious = 20
	// MaxPublic bounds [Keys].Public.
	MaxPublic = 64
	// maxTries is with how many public keys a token is tried that doesn't say which is its own.
	maxTries = 8
)

var (
	// ErrNoKeys is returned by [New] when there is nothing to check tokens with.
	ErrNoKeys = errors.New("auth: no secret and no public key to check tokens with")
	// ErrPrevious is wrapped by the error about too many previous secrets.
	ErrPrevious = errors.New("auth: previous secrets are bounded")
	// ErrTooManyKeys is wrapped by the error about too many public keys.
	ErrTooManyKeys = errors.New("auth: public keys are bounded")
)

// Keys is what tokens are checked with.
type Keys struct {
	// Secret is the key that tokens of HS256, HS384 and HS512 are signed with. Copied.
	Secret []byte
	// Previous are further ones, MaxPrevious at most, with which tokens are good too: those that Secret replaced, until
	// the last token signed with them has expired. Copied.
	Previous [][]byte
	// Public are the issuer's public keys, MaxPublic at most. Those that fit none of [Config].Algorithms are left
	// out.
	Public []PublicKey
	// LeftOut are keys that the issuer publishes and that are of no use here, MaxPublic at most: who comes with a token
	// of one is told why.
	LeftOut []LeftOut
}

// LeftOut is a key that can't be used.
type LeftOut struct {
	ID  string // kid; empty: it has none
	Why string // what is wrong with it
}

// keyring is [Keys], ready for use. Static after construction; any goroutine.
type keyring struct {
	allowed *allowed
	secrets []*secret // the current one first
	public  []PublicKey
	leftOut map[string]*Error // by kid: the answer to a token of it

	errAlgorithm *Error // of a token that no key here could have signed
}

// newKeyring takes from old what it has already.
func newKeyring(keys Keys, allowed *allowed, old *keyring) (*keyring, error) {
	if len(keys.Previous) > MaxPrevious {
		return nil, fmt.Errorf("%w: %d, and %d are too many", ErrPrevious, MaxPrevious, len(keys.Previous))
	}
	if len(keys.Public) > MaxPublic {
		return nil, fmt.Errorf("%w: %d, and %d are too many", ErrTooManyKeys, MaxPublic, len(keys.Public))
	}
	ring := &keyring{allowed: allowed, leftOut: leftOutErrors(keys.LeftOut)}
	for _, key := range keys.Public {
		if key, ok := key.Only(allowed.names...); ok {
			ring.public = append(ring.public, key)
		}
	}
	secrets := slices.Clone(keys.Previous)
	if len(keys.Secret) > 0 {
		secrets = slices.Insert(secrets, 0, keys.Secret)
	}
	for _, key := range secrets {
		if len(key) == 0 {
			return nil, ErrNoKeys
		}
		if allowed.withSecrets() {
			ring.secrets = append(ring.secrets, old.secretOf(key))
		}
	}
	ring.errAlgorithm = &Error{Reason: BadAlgorithm, Text: "token algorithm not allowed: right is " + ring.algorithms()}
	return ring, nil
}

// secretOf returns the ring's secret with a key, or a new one. The ring may be nil.
func (r *keyring) secretOf(key []byte) *secret {
	if r != nil {
		for _, s := range r.secrets {
			if bytes.Equal(s.key, key) {
				return s
			}
		}
	}
	return newSecret(key)
}

// empty reports whether nobody can be let in.
func (r *keyring) empty() bool { return len(r.secrets)+len(r.public) == 0 }

// algorithms lists what the ring has keys for.
func (r *keyring) algorithms() string {
	var names []string
	for _, name := range r.allowed.names {
		fits := func(k PublicKey) bool { return k.fits(name) }
		if SecretAlgorithm(name) && len(r.secrets) > 0 || slices.ContainsFunc(r.public, fits) {
			names = append(names, name)
		}
	}
	if len(names) == 0 { // the keys are on their way
		return "one of " + strings.Join(slices.DeleteFunc(slices.Clone(r.allowed.names), SecretAlgorithm), ", ")
	}
	return strings.Join(names, " or ")
}

// leftOutErrors makes the answers to tokens of keys that are left out. What an issuer publishes is put into a header, so
// of its text nothing may end that.
func leftOutErrors(keys []LeftOut) map[string]*Error {
	if len(keys) > MaxPublic {
		keys = keys[:MaxPublic]
	}
	all := make(map[string]*Error, len(keys))
	for _, key := range keys {
		text := "token of a key that the issuer publishes and that can't be used here: " + headerText(key.Why)
		all[key.ID] = &Error{Reason: UnknownKey, Text: text, leftOut: true}
	}
	return all
}

// headerText is text as a quoted string of a header can have it.
func headerText(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '\\':
			return '\''
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, text)
}

// choose returns the keys that a token may have been signed with. The algorithm counts first: whatever a token says,
// a public key is never taken for a secret, nor a key of one kind for one of another. Then the kid: a key that has it
// is the only one tried; without such a key those are that have none. A token without a kid is tried with all keys of
// its algorithm, unless they are more than maxTries. Secrets have no kid, all are tried.
func (r *keyring) choose(header map[string]any) (jwt.VerificationKeySet, *Error) {
	alg, _ := header["alg"].(string)
	kid, ok := header["kid"].(string)
	if _, there := header["kid"]; there && !ok {
		return jwt.VerificationKeySet{}, errKeyID
	}
	var set jwt.VerificationKeySet
	if SecretAlgorithm(alg) {
		for _, s := range r.secrets {
			set.Keys = append(set.Keys, s.key)
		}
		if len(set.Keys) == 0 {
			return set, r.errAlgorithm
		}
		return set, nil
	}
	keys, problem := r.choosePublic(alg, kid)
	if leftOut := r.leftOut[kid]; leftOut != nil && (problem == errUnknownKey || problem == r.errAlgorithm) {
		problem = leftOut
	}
	for _, key := range keys {
		set.Keys = append(set.Keys, key)
	}
	return set, problem
}

// choosePublic is choose for the algorithms with public keys. An empty kid is none.
func (r *keyring) choosePublic(alg, kid string) (keys []crypto.PublicKey, problem *Error) {
	named := kid != "" && slices.ContainsFunc(r.public, func(k PublicKey) bool { return k.id == kid })
	for _, k := range r.public {
		fits := kid == "" || k.id == kid || k.id == "" && !named
		if k.fits(alg) && fits {
			keys = append(keys, k.key)
		}
	}
	switch {
	case len(keys) > maxTries:
		return nil, errNoKeyID
	case len(keys) > 0:
		return keys, nil
	case named:
		return nil, errKeyFamily
	case kid != "" && len(r.public) > 0:
		return nil, errUnknownKey
	}
	return nil, r.errAlgorithm
}
