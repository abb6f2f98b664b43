package wsproto

import (
	"encoding/base64"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// DefaultLeeway is how far the clocks of Roost and of who issues the tokens may
// be apart when [GateConfig] doesn't say.
const DefaultLeeway = 5 * time.Second

// GateConfig says who may come in.
type GateConfig struct {
	// Algorithms are those that tokens may be signed with, of KnownAlgorithms; none: DefaultAlgorithms.
	Algorithms []string
	// UserClaim is the claim that holds the user id, empty: DefaultUserClaim. A dot leads into an object: user.id.
	UserClaim string
	// Secret is the key of the tokens that are signed with one, and Previous and Public are further keys: see [Keys]. One has to be there,
	// or UnknownKey.
	Secret   []byte
	Previous [][]byte
	Public   []PublicKey
	// UnknownKey is called with the name of a key that a token says it is signed with, and that none of the public keys
	// has: its algorithm, a space, and its kid, if it has one. It reports whether that key may be on its way (see
	// [Gate.SetKeys]): then the client is told to come again, after wait. It is called from many goroutines, for
	// strangers' tokens too, and must not block. Optional.
	UnknownKey func(name string) (wait time.Duration, pending bool)
	// Issuer, where it is set, is the iss that a token has to have, exactly.
	Issuer string
	// Audience, where it is set, lists the audiences of which a token's aud has to name one.
	Audience []string
	// Leeway is what exp, nbf and iat may be off. 0 is DefaultLeeway, less is none.
	Leeway time.Duration
	// AllowedOrigins lists the pages that browsers may connect from: "*" (as an
	// empty list: all), "https://a.example", "https://a.example:8443",
	// "https://*.example.com" (sub-domains of any depth, not example.com
	// itself), "http://localhost:*" (any port), "a.example" (any scheme), "null",
	// "file://" and "app://." (pages inside of programs).
	AllowedOrigins []string
	// IgnoreGroups takes no notice of the claim groups: for issuers that use it for something else. Otherwise a token in
	// which it is no list of names is refused.
	IgnoreGroups bool
	// TrustedProxies lists addresses and ranges whose X-Forwarded-For and PROXY headers are believed: "192.0.2.1",
	// "10.0.0.0/8".
	TrustedProxies []string
	// Ticket checks the value of ?ticket= and returns the identity that it stands
	// for. It is how this process connects to itself for the deep health check.
	// Optional; without it the parameter has no meaning. It is called from many
	// goroutines, must not block, and must not keep the slice.
	Ticket func(ticket []byte) (user string, ok bool)
}

// Gate decides about requests. Static after construction but for its keys; any goroutine.
type Gate struct {
	origins origins
	ticket  func(ticket []byte) (user string, ok bool)
	ring    atomic.Pointer[keyring]
	unknown func(name string) (wait time.Duration, pending bool) // nil: the keys are all there will be
	leeway  time.Duration

	allowed      *allowed
	user         userClaim
	issuer       string
	audience     []string
	ignoreGroups bool
	proxies      proxies
}

// NewGate checks and compiles a configuration. The error is [ErrNoKeys], or wraps [ErrAlgorithm], [ErrOriginPattern],
// [ErrProxyPattern] (or several, joined), [ErrPrevious] or [ErrTooManyKeys] and names what is wrong and what would be
// right.
func NewGate(config GateConfig) (*Gate, error) {
	allowed, wrongAlgorithm := newAllowed(config.Algorithms)
	origins, wrongOrigin := compileOrigins(config.AllowedOrigins)
	proxies, wrongProxy := compileProxies(config.TrustedProxies)
	if err := errors.Join(wrongAlgorithm, wrongOrigin, wrongProxy); err != nil {
		return nil, err
	}
	gate := &Gate{origins: origins, proxies: proxies, ticket: config.Ticket, leeway: max(0, config.Leeway),
		issuer: config.Issuer, audience: slices.Clone(config.Audience), unknown: config.UnknownKey,
		ignoreGroups: config.IgnoreGroups, allowed: allowed, user: newUserClaim(config.UserClaim)}
	if config.Leeway == 0 {
		gate.leeway = DefaultLeeway
	}
	return gate, gate.SetKeys(Keys{Secret: config.Secret, Previous: config.Previous, Public: config.Public})
}

// SetKeys replaces what tokens are checked with; a token that is being checked is judged by the keys of before. The
// error is as that of [NewGate], and then the old keys stay. One goroutine at a time.
func (g *Gate) SetKeys(keys Keys) error {
	ring, err := newKeyring(keys, g.allowed, g.ring.Load())
	if err != nil {
		return err
	}
	if ring.empty() && g.unknown == nil {
		return ErrNoKeys
	}
	g.ring.Store(ring)
	return nil
}

// Read decides what a head (as [HeadEnd] measured it) asks for. The request may go
// on when the refusal is nil; one for an upgrade then has to say who asks, see
// [Gate.Identify]; it aliases b. With a refusal the request is good
// for nothing but [Request.AppendRejection].
func (g *Gate) Read(b []byte) (Request, *Refusal) {
	if len(b) > MaxHead {
		return Request{}, RefuseHeadTooLarge()
	}
	var h head
	refusal := h.parse(b)
	var request Request
	if refusal == nil {
		request, refusal = g.route(&h)
	}
	if refusal != nil && string(h.method) == "HEAD" {
		refusal = refusal.withoutBody()
	}
	return request, refusal
}

func (g *Gate) route(h *head) (Request, *Refusal) {
	switch string(h.path) {
	case "/ws":
		return g.readUpgrade(h)
	case "/health", "/health/ready":
		return readHealth(h, Health)
	case "/health/live":
		return readHealth(h, Live)
	}
	return Request{}, refuseNotFound
}

func readHealth(h *head, kind Kind) (Request, *Refusal) {
	switch string(h.method) {
	case "GET":
		return Request{Kind: kind}, nil
	case "HEAD":
		return Request{Kind: kind, method: methodHead}, nil
	case "OPTIONS":
		return Request{Kind: kind, method: methodOptions}, nil
	}
	return Request{}, refuseHealthMethod
}

func (g *Gate) readUpgrade(h *head) (Request, *Refusal) {
	if string(h.method) != "GET" {
		return Request{}, refuseUpgradeMethod
	}
	if refusal := h.checkUpgrade(); refusal != nil {
		return Request{}, refusal
	}
	request := Request{Kind: Upgrade, protocol: h.offersProtocol, forwarded: h.forwarded}
	copy(request.key[:], h.key.value)
	// RFC 6455 section 4.2.2, 1: an origin that is not wanted gets a 403.
	// Clients other than browsers send none.
	if h.origin.count > 0 && !g.origins.allow(h.origin.value) {
		request.Origin = h.origin.value
		return request, refuseOrigin
	}
	refusal := g.readCredentials(h, &request)
	return request, refusal
}

// checkUpgrade follows the list of RFC 6455 section 4.2.1.
func (h *head) checkUpgrade() *Refusal {
	switch {
	// 1. "An HTTP/1.1 or higher GET request". RFC 9110 section 7.8: a server
	// MUST ignore an Upgrade that comes with HTTP/1.0.
	// 3. and 4. Upgrade and Connection, without case.
	case h.minor == 0:
		return refuseOldHTTP
	case !h.upgradeWebSocket || !h.connectUpgrade:
		return refuseNoUpgrade
	// 2. "A |Host| header field containing the server's authority."
	case len(h.host) == 0:
		return refuseBadHost
	// 6. "with a value of 13." Section 4.4 gives the answer to others.
	case h.version.count != 1 || string(h.version.value) != "13":
		return refuseWebSocketVersion
	// 5. "a base64-encoded value that, when decoded, is 16 bytes in length".
	case h.key.count != 1 || !validKey(h.key.value):
		return refuseWebSocketKey
	}
	return nil
}

func validKey(key []byte) bool {
	var nonce [18]byte // DecodedLen of keySize
	if len(key) != keySize {
		return false
	}
	n, err := base64.StdEncoding.Decode(nonce[:], key)
	return err == nil && n == 16
}
