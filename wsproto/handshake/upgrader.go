package handshake

import (
	"encoding/base64"
	"errors"

	"roost/wsproto/auth"
)

// Config says which requests are accepted.
type Config struct {
	// Authenticator checks the tokens; required.
	Authenticator *auth.Authenticator
	// AllowedOrigins lists the pages that browsers may connect from: "*" (as an
	// empty list: all), "https://a.example", "https://a.example:8443",
	// "https://*.example.com" (sub-domains of any depth, not example.com
	// itself), "http://localhost:*" (any port), "a.example" (any scheme), "null",
	// "file://" and "app://." (pages inside of programs).
	AllowedOrigins []string
	// TrustedProxies lists addresses and ranges whose X-Forwarded-For and PROXY headers are believed: "192.0.2.1",
	// "10.0.0.0/8".
	TrustedProxies []string
	// EventStreams has /sse answered with event streams; else it is not found.
	EventStreams bool
	// Ticket checks the value of ?ticket= and returns the identity that it stands
	// for. It is how this process connects to itself for the deep health check.
	// Optional; without it the parameter has no meaning. It is called from many
	// goroutines, must not block, and must not keep the slice.
	Ticket func(ticket []byte) (user string, ok bool)
}

// Upgrader decides about requests. Static after construction; any goroutine.
type Upgrader struct {
	auth    *auth.Authenticator
	origins origins
	proxies proxies
	streams bool
	ticket  func(ticket []byte) (user string, ok bool)
}

// New checks and compiles a configuration. The error wraps [ErrOriginPattern] or [ErrProxyPattern], or both, and names what
// is wrong and what would be right.
func New(config Config) (*Upgrader, error) {
	origins, wrongOrigin := compileOrigins(config.AllowedOrigins)
	proxies, wrongProxy := compileProxies(config.TrustedProxies)
	if err := errors.Join(wrongOrigin, wrongProxy); err != nil {
		return nil, err
	}
	return &Upgrader{auth: config.Authenticator, origins: origins, proxies: proxies, streams: config.EventStreams, ticket: config.Ticket}, nil
}

// Read decides what a head (as [HeadEnd] measured it) asks for. The request may go
// on when the refusal is nil; one for an upgrade or an event stream has to be authenticated next, see
// [Upgrader.Identify]; it aliases b. With a refusal the request is good
// for nothing but [Request.AppendRejection] and [Request.AppendStreamRefusal].
func (u *Upgrader) Read(b []byte) (Request, *Refusal) {
	if len(b) > MaxHead {
		return Request{}, RefuseHeadTooLarge()
	}
	var h head
	refusal := h.parse(b)
	var request Request
	if refusal == nil {
		request, refusal = u.route(&h)
	}
	if refusal != nil && string(h.method) == "HEAD" {
		refusal = refusal.withoutBody()
	}
	return request, refusal
}

func (u *Upgrader) route(h *head) (Request, *Refusal) {
	switch string(h.path) {
	case "/ws":
		return u.readUpgrade(h)
	case "/health", "/health/ready":
		return readHealth(h, Health)
	case "/health/live":
		return readHealth(h, Live)
	case "/sse":
		if u.streams {
			return u.readEventStream(h)
		}
	}
	if u.streams {
		return Request{}, refuseNotFoundBeside
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

func (u *Upgrader) readUpgrade(h *head) (Request, *Refusal) {
	if string(h.method) != "GET" {
		return Request{}, refuseUpgradeMethod
	}
	if refusal := h.checkUpgrade(); refusal != nil {
		return Request{}, refusal
	}
	request := Request{Kind: Upgrade, Since: h.readSince(), protocol: h.offersProtocol, forwarded: h.forwarded}
	request.WantsID, request.Connection = h.readHello()
	copy(request.key[:], h.key.value)
	// RFC 6455 section 4.2.2, 1: an origin that is not wanted gets a 403.
	// Clients other than browsers send none.
	if h.origin.count > 0 && !u.origins.allow(h.origin.value) {
		request.Origin = h.origin.value
		return request, refuseOrigin
	}
	refusal := u.readCredentials(h, &request)
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
