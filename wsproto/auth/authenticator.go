package auth

import (
	"slices"
	"sync/atomic"
	"time"
)

// DefaultLeeway is how far the clocks of Roost and of who issues the tokens may
// be apart when [Config] doesn't say.
const DefaultLeeway = 5 * time.Second

// Config says which tokens are good.
type Config struct {
	// Algorithms are those that tokens may be signed with, of KnownAlgorithms; none: DefaultAlgorithms.
	Algorithms []string
	// UserClaim is the claim that holds the user id, empty: DefaultUserClaim. A dot leads into an object: user.id.
	UserClaim string
	// Keys are what tokens are checked with. One has to be there, or UnknownKey.
	Keys Keys
	// UnknownKey is called with the name of a key that a token says it is signed with, and that none of the public keys
	// has: its algorithm, a space, and its kid, if it has one. It reports whether that key may be on its way (see
	// [Authenticator.SetKeys]): then the client is told to come again, after wait. It is called from many goroutines, for
	// strangers' tokens too, and must not block. Optional.
	UnknownKey func(name string) (wait time.Duration, pending bool)
	// Issuer, where it is set, is the iss that a token has to have, exactly.
	Issuer string
	// Audience, where it is set, lists the audiences of which a token's aud has to name one.
	Audience []string
	// Leeway is what exp, nbf and iat may be off. 0 is DefaultLeeway, less is none.
	Leeway time.Duration
	// IgnoreGroups takes no notice of the claim groups: for issuers that use it for something else. Otherwise a token in
	// which it is no list of names is refused.
	IgnoreGroups bool
}

// Authenticator checks tokens. Static after construction but for its keys; any goroutine.
type Authenticator struct {
	ring    atomic.Pointer[keyring]
	unknown func(name string) (wait time.Duration, pending bool) // nil: the keys are all there will be
	leeway  time.Duration

	allowed      *allowed
	user         userClaim
	issuer       string
	audience     []string
	ignoreGroups bool
}

// New checks and compiles a configuration. The error is [ErrNoKeys], or wraps [ErrAlgorithm], [ErrPrevious] or
// [ErrTooManyKeys] and names what is wrong and what would be right.
func New(config Config) (*Authenticator, error) {
	allowed, err := newAllowed(config.Algorithms)
	if err != nil {
		return nil, err
	}
	a := &Authenticator{leeway: max(0, config.Leeway),
		issuer: config.Issuer, audience: slices.Clone(config.Audience), unknown: config.UnknownKey,
		ignoreGroups: config.IgnoreGroups, allowed: allowed, user: newUserClaim(config.UserClaim)}
	if config.Leeway == 0 {
		a.leeway = DefaultLeeway
	}
	return a, a.SetKeys(config.Keys)
}

// SetKeys replaces what tokens are checked with; a token that is being checked is judged by the keys of before. The
// error is as that of [New], and then the old keys stay. One goroutine at a time.
func (a *Authenticator) SetKeys(keys Keys) error {
	ring, err := newKeyring(keys, a.allowed, a.ring.Load())
	if err != nil {
		return err
	}
	if ring.empty() && a.unknown == nil {
		return ErrNoKeys
	}
	a.ring.Store(ring)
	return nil
}
