package handshake

import "bytes"

// head is a parsed request head. All its slices alias the bytes it was parsed
// from.
type head struct {
	method []byte
	path   []byte // up to the "?", as sent
	query  []byte // after the "?", as sent
	host   []byte // authority of an absolute target, otherwise the Host header
	minor  byte   // of the version, HTTP/1.minor

	hosts     field        // Host
	length    field        // Content-Length
	origin    field        // Origin
	key       field        // Sec-WebSocket-Key
	version   field        // Sec-WebSocket-Version
	forwarded forwardedFor // X-Forwarded-For
	tokens    field        // outside of the query: Authorization, Sec-WebSocket-Protocol

	encoded          bool // a Transfer-Encoding came
	upgradeWebSocket bool // Upgrade lists websocket
	connectUpgrade   bool // Connection lists upgrade
	offersProtocol   bool // Sec-WebSocket-Protocol lists ours
	bearers          bool // and a token
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
