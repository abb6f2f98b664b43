package auth

import (
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	// Public are the issuer's public keys, MaxPublic at most. Keys that fit none of [Config].Algorithms are left out.
	Public []PublicKey
	// LeftOut are keys that the issuer publishes and Roost can't use, MaxPublic at most. A client with a token of one is told
	// why.
	LeftOut []LeftOut
}

// LeftOut is a key that can't be used.
type LeftOut struct {
	ID  string // kid; empty: it has none
	Why string // what is wrong with it
}

// keyring is [Keys], ready for use. Static after construction; any goroutine.
type keyring struct {
	allowed []string  // algorithms
	secrets []*secret // the current one first
	public  []PublicKey
	leftOut map[string]*Error // by kid: the answer to a token of it

	errAlgorithm *Error // of a token that no key here could have signed
}

// newKeyring checks and copies the keys, those that are of no use with these algorithms aside.
func newKeyring(keys Keys, allowed []string) (*keyring, error) {
	if len(keys.Previous) > MaxPrevious {
		return nil, fmt.Errorf("%w: %d, and %d are too many", ErrPrevious, MaxPrevious, len(keys.Previous))
	}
	if len(keys.Public) > MaxPublic {
		return nil, fmt.Errorf("%w: %d, and %d are too many", ErrTooManyKeys, MaxPublic, len(keys.Public))
	}
	ring := &keyring{allowed: allowed, leftOut: leftOutErrors(keys.LeftOut)}
	for _, key := range keys.Public {
		if key, ok := key.Only(allowed...); ok {
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
		if slices.ContainsFunc(allowed, SecretAlgorithm) {
			ring.secrets = append(ring.secrets, newSecret(key))
		}
	}
	ring.errAlgorithm = &Error{Reason: BadAlgorithm, Text: "token algorithm not allowed: right is " + ring.algorithms()}
	return ring, nil
}

// empty reports whether there is no key.
func (r *keyring) empty() bool { return len(r.secrets)+len(r.public) == 0 }

// algorithms lists what the ring has keys for.
func (r *keyring) algorithms() string {
	var names []string
	for _, name := range r.allowed {
		fits := func(k PublicKey) bool { return k.fits(name) }
		if SecretAlgorithm(name) && len(r.secrets) > 0 || slices.ContainsFunc(r.public, fits) {
			names = append(names, name)
		}
	}
	if len(names) == 0 { // the keys are on their way
		return "one of " + strings.Join(slices.DeleteFunc(slices.Clone(r.allowed), SecretAlgorithm), ", ")
	}
	return strings.Join(names, " or ")
}

// leftOutErrors makes the answers to tokens of keys that are left out. Text that an issuer publishes is put into a header,
// so it must not contain anything that ends the header.
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

// choice is the keys that a token may have been signed with, of one kind.
type choice struct {
	secrets []*secret
	public  []crypto.PublicKey
}

// choose returns the keys that a token may have been signed with. The algorithm counts first: whatever a token says,
// a public key is never taken for a secret, nor a key of one kind for one of another. Then the kid: a key that has it
// is the only one tried; without such a key those are that have none. A token without a kid is tried with all keys of
// its algorithm, unless they are more than maxTries. Secrets have no kid, all are tried.
func (r *keyring) choose(t *token) (keys choice, problem *Error) {
	switch {
	case !slices.Contains(KnownAlgorithms(), t.alg):
		return keys, r.errAlgorithm
	case t.critical:
		return keys, errCritical
	case t.badKid:
		return keys, errKeyID
	case !slices.Contains(r.allowed, t.alg):
		problem = r.errAlgorithm
	case SecretAlgorithm(t.alg):
		if len(r.secrets) == 0 {
			return keys, r.errAlgorithm
		}
		return choice{secrets: r.secrets}, nil
	default:
		keys.public, problem = r.choosePublic(t.alg, t.kid)
	}
	if leftOut := r.leftOut[t.kid]; leftOut != nil && (problem == errUnknownKey || problem == r.errAlgorithm) {
		problem = leftOut
	}
	return keys, problem
}

// choosePublic is choose for the algorithms with public keys. An empty kid counts as no kid.
func (r *keyring) choosePublic(alg, kid string) (keys []crypto.PublicKey, problem *Error) {
	named := r.has(kid)
	for i := range r.public {
		if k := &r.public[i]; k.fits(alg) && k.mayBe(kid, named) {
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

// has reports whether a key has this kid.
func (r *keyring) has(kid string) bool {
	return kid != "" && slices.ContainsFunc(r.public, func(k PublicKey) bool { return k.id == kid })
}

// mayBe reports whether a token with this kid may be the key's. named is whether a key has the kid.
func (k *PublicKey) mayBe(kid string, named bool) bool {
	return kid == "" || k.id == kid || k.id == "" && !named
}

// triage looks at the outside of a token of a key pair, for its priority. With an error the token is bad whatever the keys
// would say: no arithmetic is spent on a signature that is not as long as its key's.
func (r *keyring) triage(t *token) (Priority, *Error) {
	if t.critical || t.badKid {
		return PriorityUnknown, nil // Check says what is wrong
	}
	known, fits := false, false
	named := r.has(t.kid)
	for i := range r.public {
		if k := &r.public[i]; k.fits(t.alg) && k.mayBe(t.kid, named) {
			known = true
			fits = fits || len(t.signature) == k.signatureSize()
		}
	}
	switch {
	case !known:
		return PriorityUnknown, nil
	case !fits:
		return 0, errSignature
	case named:
		return PriorityNamed, nil
	}
	return PriorityTried, nil
}

// Priority orders tokens that wait for [Authenticator.Check]: lower ones go first. It follows from the token's header alone,
// which anybody can write.
type Priority uint8

const (
	// PriorityNamed: the token names a key that is known. One check finds out.
	PriorityNamed Priority = iota
	// PriorityTried: it names no key, and several may have to be tried.
	PriorityTried
	// PriorityUnknown: it names a key that is not known, or its header is an odd one.
	PriorityUnknown

	// PriorityCount is how many there are.
	PriorityCount = iota
)
