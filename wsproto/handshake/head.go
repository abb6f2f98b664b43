package handshake

import (
	"bytes"
)

// MaxHead bounds a request head in bytes, the blank line included. A caller that
// holds as many without an end answers [RefuseHeadTooLarge]; [Upgrader.Read] answers
// so too when it is given more.
const MaxHead = 16 << 10

// HeadEnd returns the length of the request head at the start of buf, the blank
// line included, or 0 while it is incomplete. Pass the result to [Upgrader.Read].
//
// from is how many bytes of the same head an earlier call has looked at (0 at
// first), so that a head which comes a byte at a time costs linear work in all.
//
// A head that can't become a valid one any more ends early: behind a line feed
// without a carriage return, or behind a first byte that no method begins with
// (the blank line of a chatty client, the hello of a TLS client). Read
// answers 400 to such a piece, so the client hears at once and not at the
// handshake deadline.
func HeadEnd(buf []byte, from int) int {
	if len(buf) > 0 && !tokenChars.has[buf[0]] {
		return 1
	}
	for i := max(from, 0); i < len(buf); i++ {
		feed := bytes.IndexByte(buf[i:], '\n')
		if feed < 0 {
			return 0
		}
		i += feed
		if buf[i-1] != '\r' || buf[i-2] == '\n' {
			return i + 1
		}
	}
	return 0
}

// head is a parsed request head. All its slices alias the bytes it was parsed
// from.
type head struct {
	method []byte
	path   []byte // up to the "?", as sent
	query  []byte // after the "?", as sent
	host   []byte // authority of an absolute target, otherwise the Host header
	minor  byte   // of the version, HTTP/1.minor

	hosts   field // Host
	length  field // Content-Length
	origin  field // Origin
	key     field // Sec-WebSocket-Key
	version field // Sec-WebSocket-Version

	lastEventID field // Last-Event-ID

	forwarded forwardedFor // X-Forwarded-For
	tokens    field        // outside of the query: Authorization, Sec-WebSocket-Protocol
	since     field        // Sec-WebSocket-Protocol: the position of a client that comes back
	hello     bool         // Sec-WebSocket-Protocol: the client asks for the id of its connection
	helloID   []byte       // the one it had before

	encoded          bool // a Transfer-Encoding came
	upgradeWebSocket bool // Upgrade lists websocket
	connectUpgrade   bool // Connection lists upgrade
	offersProtocol   bool // Sec-WebSocket-Protocol lists ours
	bearers          bool // and a token
	acceptsEvents    bool // Accept lists text/event-stream
}

// parse reads a complete head, its blank line included. It returns nil or the
// 400 (or 505) that says what is wrong.
func (h *head) parse(b []byte) *Refusal {
	line, b, refusal := cutLine(b)
	if refusal != nil {
		return refusal
	}
	if refusal := h.parseRequestLine(line); refusal != nil {
		return refusal
	}
	for {
		if line, b, refusal = cutLine(b); refusal != nil {
			return refusal
		}
		if len(line) == 0 {
			break
		}
		if refusal := h.parseField(line); refusal != nil {
			return refusal
		}
	}
	if len(b) > 0 {
		return refuseTrailing
	}
	return h.checkFraming()
}

// cutLine splits b behind its first CRLF and returns the line without it.
//
// RFC 9112 section 2.2 lets a recipient take a lone LF as the end of a line;
// recipients that differ about this are how requests are smuggled.
func cutLine(b []byte) (line, rest []byte, refusal *Refusal) {
	i := bytes.IndexByte(b, '\n')
	switch {
	case i < 0:
		return nil, nil, refuseUnfinished
	case i == 0 || b[i-1] != '\r':
		return nil, nil, refuseBareLF
	}
	return b[:i-1], b[i+1:], nil
}

// parseRequestLine reads "METHOD SP target SP HTTP/1.x" (RFC 9112 section 3).
func (h *head) parseRequestLine(line []byte) *Refusal {
	method, rest, ok := bytes.Cut(line, []byte{' '})
	if !ok || len(method) == 0 || !tokenChars.holds(method) {
		return refuseRequestLine
	}
	h.method = method
	target, version, ok := bytes.Cut(rest, []byte{' '})
	if !ok {
		return refuseRequestLine
	}
	if refusal := h.parseVersion(version); refusal != nil {
		return refusal
	}
	return h.parseTarget(target)
}

// parseVersion reads HTTP-version (RFC 9112 section 2.3), which is case-sensitive.
func (h *head) parseVersion(b []byte) *Refusal {
	const shape = "HTTP/d.d"
	if len(b) != len(shape) || string(b[:5]) != shape[:5] || b[6] != '.' || !isDigit(b[5]) || !isDigit(b[7]) {
		return refuseRequestLine
	}
	if b[5] != '1' {
		return refuseHTTPVersion
	}
	h.minor = b[7] - '0'
	return nil
}

// checkFraming refuses what makes it unclear where the request ends or for
// whom it is (RFC 9112 sections 3.2, 6.1 and 6.3).
func (h *head) checkFraming() *Refusal {
	switch {
	case h.hosts.count > 1:
		return refuseTwoHosts
	case h.hosts.count == 0 && h.minor > 0:
		return refuseNoHost
	case len(h.hosts.value) > 0 && !validAuthority(h.hosts.value):
		return refuseBadHost
	case h.encoded:
		return refuseBody
	case h.length.count > 1 || h.length.count == 1 && !isZero(h.length.value):
		return refuseBody
	case h.origin.count > 1:
		// RFC 6454 section 7.3: not more than one Origin header field.
		return refuseTwoOrigins
	}
	if h.host == nil {
		h.host = h.hosts.value
	}
	return nil
}

// isZero reports whether a Content-Length says that there is no body.
func isZero(b []byte) bool {
	return len(b) > 0 && len(bytes.Trim(b, "0")) == 0
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// field is a header that may come once only, and how often it came.
type field struct {
	value []byte
	count int
}

func (f *field) set(value []byte) {
	f.value = value
	f.count++
}

// parseField reads one header line (RFC 9112 section 5).
func (h *head) parseField(line []byte) *Refusal {
	if line[0] == ' ' || line[0] == '\t' {
		// Section 5.2: a server that receives an obs-fold MUST reject it or
		// replace it.
		return refuseFolded
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return refuseHeaderLine
	}
	name, value := line[:colon], trimSpace(line[colon+1:])
	if !tokenChars.holds(name) {
		// Section 5.1: white space between name and colon MUST be refused.
		return refuseHeaderName
	}
	if !valueChars.holds(value) {
		return refuseHeaderValue
	}
	h.keep(name, value)
	return nil
}

// keep stores what the handshake needs of a header and forgets the others.
func (h *head) keep(name, value []byte) {
	switch len(name) {
	case len("host"):
		if equalFold(name, "host") {
			h.hosts.set(value)
		}
	case len("origin"): // and as long: accept
		if equalFold(name, "origin") {
			h.origin.set(value)
		} else if equalFold(name, "accept") {
			h.acceptsEvents = h.acceptsEvents || listHas(value, "text/event-stream")
		}
	case len("upgrade"):
		if equalFold(name, "upgrade") {
			h.upgradeWebSocket = h.upgradeWebSocket || listHas(value, "websocket")
		}
	case len("connection"):
		if equalFold(name, "connection") {
			h.connectUpgrade = h.connectUpgrade || listHas(value, "upgrade")
		}
	case len("authorization"): // and as long: last-event-id
		if equalFold(name, "authorization") {
			h.authorized(value)
		} else if equalFold(name, "last-event-id") {
			h.lastEventID.set(value)
		}
	case len("x-forwarded-for"):
		if equalFold(name, "x-forwarded-for") {
			h.forwarded.add(value)
		}
	case len("content-length"):
		if equalFold(name, "content-length") {
			h.length.set(value)
		}
	case len("transfer-encoding"): // and as long: sec-websocket-key
		if equalFold(name, "transfer-encoding") {
			h.encoded = true
		} else if equalFold(name, "sec-websocket-key") {
			h.key.set(value)
		}
	case len("sec-websocket-protocol"):
		if equalFold(name, "sec-websocket-protocol") {
			h.offered(value)
		}
	case len("sec-websocket-version"):
		if equalFold(name, "sec-websocket-version") {
			h.version.set(value)
		}
	}
}

// listHas looks for an element in a comma list, without case (RFC 9110 section 5.6.1).
func listHas(list []byte, want string) bool {
	for len(list) > 0 {
		var element []byte
		element, list, _ = bytes.Cut(list, []byte{','})
		if equalFold(trimSpace(element), want) {
			return true
		}
	}
	return false
}

// trimSpace removes optional white space: spaces and tabs only.
func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
