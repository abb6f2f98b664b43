package auth

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// DefaultLeeway is by how much the clocks of Roost and of the tokens' issuer may differ if [Config] doesn't say.
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
	// Leeway is what exp, nbf and iat may be off. 0 is DefaultLeeway; below 0 there is no leeway.
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

	allowed      []string // algorithms
	user         userClaim
	issuer       string
	audience     []string
	ignoreGroups bool

	judges sync.Pool // of *judge; as many as goroutines call at once
}

// New checks and compiles a configuration. The error is [ErrNoKeys], or wraps [ErrAlgorithm], [ErrPrevious] or
// [ErrTooManyKeys] and names what is wrong and what would be right.
func New(config Config) (*Authenticator, error) {
	allowed := config.Algorithms
	if len(allowed) == 0 {
		allowed = DefaultAlgorithms()
	}
	if err := CheckAlgorithms(allowed); err != nil {
		return nil, err
	}
	a := &Authenticator{leeway: max(0, config.Leeway),
		issuer: config.Issuer, audience: slices.Clone(config.Audience), unknown: config.UnknownKey,
		ignoreGroups: config.IgnoreGroups, allowed: slices.Clone(allowed), user: newUserClaim(config.UserClaim)}
	if config.Leeway == 0 {
		a.leeway = DefaultLeeway
	}
	a.judges.New = func() any { return a.newJudge() }
	return a, a.SetKeys(config.Keys)
}

// SetKeys replaces what tokens are checked with; a token that is being checked is judged by the keys of before. The
// error is as that of [New], and then the old keys stay. One goroutine at a time.
func (a *Authenticator) SetKeys(keys Keys) error {
	ring, err := newKeyring(keys, a.allowed)
	if err != nil {
		return err
	}
	if ring.empty() && a.unknown == nil {
		return ErrNoKeys
	}
	a.ring.Store(ring)
	return nil
}

// Identity is what a good token says.
type Identity struct {
	User string
	// Groups are the groups that the user is in: each of them valid (see names.ValidGroup), sorted, none twice, MaxGroups
	// at most. Nil: none.
	Groups []string
	// Expires is from when on the token would not be accepted: its exp and the leeway.
	Expires time.Time
}

// Identify checks a token against the time now. It takes a few microseconds: where checking takes longer, because the token
// may be signed with a key pair, it reports later, and nothing is decided. Then [Authenticator.Check] has to follow on
// another goroutine than a loop, in the order that the priority says. It keeps nothing of the token.
func (a *Authenticator) Identify(b []byte, now time.Time) (id Identity, problem *Error, priority Priority, later bool) {
	var t token
	if problem := t.parse(b); problem != nil {
		return Identity{}, problem, 0, false
	}
	ring := a.ring.Load()
	if keyPairAlgorithm(t.alg) && (len(ring.public) > 0 || a.unknown != nil) {
		priority, problem = ring.triage(&t)
		return Identity{}, problem, priority, problem == nil
	}
	id, problem = a.check(ring, &t, now)
	return id, problem, 0, false
}

// Check checks a token where [Authenticator.Identify] left that for later. It takes 30 to 100 microseconds for most tokens,
// and up to eight times as much for one that doesn't say which key is its own.
func (a *Authenticator) Check(b []byte, now time.Time) (Identity, *Error) {
	var t token
	if problem := t.parse(b); problem != nil {
		return Identity{}, problem
	}
	ring := a.ring.Load()
	id, problem := a.check(ring, &t, now)
	leftOut := problem != nil && problem.leftOut
	if a.unknown == nil || problem != errUnknownKey && !leftOut {
		return id, problem
	}
	if wait, pending := a.unknown(t.alg + " " + t.kid); pending && !leftOut { // a key that is left out may be mended, which takes its time
		return Identity{}, errPending(wait)
	}
	if newer := a.ring.Load(); newer != ring { // they came in between
		id, problem = a.check(newer, &t, now)
	}
	return id, problem
}

// check verifies the signature with the keys that the ring chooses, and then has the claims judged.
func (a *Authenticator) check(ring *keyring, t *token, now time.Time) (Identity, *Error) {
	keys, problem := ring.choose(t)
	if problem == ring.errAlgorithm && a.unknown != nil && keyPairAlgorithm(t.alg) && slices.Contains(ring.allowed, t.alg) {
		problem = errUnknownKey
	}
	if problem != nil {
		return Identity{}, problem
	}
	if !t.signedBy(keys) {
		return Identity{}, errSignature
	}
	text, err := tokenBase64.AppendDecode(nil, t.claims)
	if err != nil {
		return Identity{}, errMalformed
	}
	c := claims{from: &a.user, withGroups: !a.ignoreGroups}
	if c.read(string(text)) != nil {
		return Identity{}, errMalformed
	}
	j := a.judges.Get().(*judge)
	j.now = now
	err = j.validator.Validate(&c)
	a.judges.Put(j)
	if err != nil {
		return Identity{}, a.explain(err, &c)
	}
	return Identity{User: c.user, Groups: c.groups, Expires: c.expires.Add(a.leeway)}, nil
}

// explain says which of several faults of the claims counts. The library's errors nest: the order of the cases matters.
func (a *Authenticator) explain(err error, c *claims) *Error {
	var problem *Error // of Validate
	switch {
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing) && c.expires == nil:
		return errNoExpiry
	case errors.Is(err, jwt.ErrTokenExpired):
		return errExpired
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return errNotYetValid
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return errIssuedFuture
	case errors.Is(err, jwt.ErrTokenInvalidIssuer), errors.Is(err, jwt.ErrTokenRequiredClaimMissing) && c.issuer == "" && a.issuer != "":
		return errIssuer
	case errors.Is(err, jwt.ErrTokenInvalidAudience), errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return errAudience
	case errors.As(err, &problem):
		return problem
	}
	return errMalformed
}
