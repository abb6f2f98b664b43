package handshake

import "bytes"

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
	case len("origin"):
		if equalFold(name, "origin") {
			h.origin.set(value)
		}
	case len("upgrade"):
		if equalFold(name, "upgrade") {
			h.upgradeWebSocket = h.upgradeWebSocket || listHas(value, "websocket")
		}
	case len("connection"):
		if equalFold(name, "connection") {
			h.connectUpgrade = h.connectUpgrade || listHas(value, "upgrade")
		}
	case len("authorization"):
		if equalFold(name, "authorization") {
			h.authorized(value)
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
