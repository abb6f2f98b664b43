package handshake

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"strconv"
	"time"
	"unsafe"

	"roost/wsproto"
	"roost/wsproto/auth"
)

// Kind is what a request asks for.
type Kind uint8

// The kinds of request.
const (
	Upgrade     Kind = iota // a WebSocket on /ws
	Health                  // whether to send clients here, on /health and /health/ready
	Live                    // whether the process works, on /health/live
	EventStream             // the same as Upgrade in a text/event-stream, on /sse
	Preflight               // whether a page may ask for that
)

type method uint8

const (
	methodGet method = iota
	methodHead
	methodOptions
)

const healthMethods = "GET, HEAD, OPTIONS"

// keySize is the length of a Sec-WebSocket-Key: 16 bytes in base64.
const keySize = 24

// Request is what [Upgrader.Read] let pass.
type Request struct {
	Kind  Kind
	User  string // after Identify: the token's sub, or the identity of a ticket
	Probe bool   // comes with an in-process ticket

	Priority auth.Priority // where Identify says later: the order of Check

	// Expires is, after Identify, from when on the token would not be let in: its exp and
	// the leeway. Zero with a ticket.
	Expires time.Time

	// Groups are, after Identify, the groups that the token says its user is in: each of them valid (see
	// names.ValidGroup), sorted, none twice, auth.MaxGroups at most. Nil: none.
	Groups []string

	// Since is the position up to which a client that comes back has everything: the parameter since, the sub-protocol
	// since.<position>, or of an EventStream Last-Event-ID, which goes before the parameter. It is valid (see
	// position.Valid), or UnknownPosition; "": the client named none.
	Since string

	// WantsID says that the client asks for the id of its connection, by the parameter hello or the sub-protocol hello. Connection is the
	// id that it had before: hello=<id>, hello.<id>. It is valid as Since is; "": the client named none.
	WantsID    bool
	Connection string

	// Origin is the page's, where the refusal is for that; otherwise nil. It aliases the head.
	Origin []byte

	method     method        // Health, Live
	key        [keySize]byte // Upgrade: Sec-WebSocket-Key
	protocol   bool          // Upgrade: our sub-protocol was offered
	page       []byte        // EventStream, Preflight: the origin of the page, which is allowed; aliases the head
	retries    bool          // EventStream: the client reads events, and comes back after the end of a stream
	forwarded  forwardedFor  // Upgrade, EventStream: whom proxies report; aliases the head
	credential []byte        // Upgrade, EventStream, until Identify: a token or a ticket; aliases the head
}

// Detach copies what the request has of its head, which may then go away. The addresses that proxies report are not
// copied: ask [Upgrader.Client] before.
func (r *Request) Detach() {
	r.credential, r.page = bytes.Clone(r.credential), bytes.Clone(r.page)
	r.forwarded = forwardedFor{}
}

// Size is how many bytes the request refers to, beyond its own.
func (r *Request) Size() int {
	n := len(r.credential) + len(r.page) + len(r.User) + len(r.Since) + len(r.Connection)
	for _, group := range r.Groups {
		n += int(unsafe.Sizeof(group)) + len(group)
	}
	return n
}

// OffersProtocol reports whether the client offered [Protocol]: such a client knows what Roost's close codes mean.
func (r *Request) OffersProtocol() bool { return r.protocol }

// AppendUpgrade appends the 101 (RFC 6455 section 4.2.2). Our sub-protocol is answered
// where it was offered, and no extension, because none is spoken.
func (r Request) AppendUpgrade(dst []byte) []byte {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	var challenge [keySize + len(guid)]byte
	copy(challenge[:], r.key[:])
	copy(challenge[keySize:], guid)
	sum := sha1.Sum(challenge[:])

	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = base64.StdEncoding.AppendEncode(dst, sum[:])
	if r.protocol {
		dst = append(dst, "\r\nSec-WebSocket-Protocol: "+Protocol...)
	}
	return append(dst, "\r\n\r\n"...)
}

// AppendRejection appends a 101 and a close frame that says why the connection was refused:
// a page sees no more of a failed handshake than that it failed. The code is 4000 and the HTTP
// status: 4401, 4403, 4429, 4503. It is false, and nothing is appended, if
// the request was not good enough to be answered with a 101.
func (r Request) AppendRejection(dst []byte, refusal *Refusal) ([]byte, bool) {
	if r.Kind != Upgrade || r.key == [keySize]byte{} {
		return dst, false
	}
	return wsproto.AppendClose(r.AppendUpgrade(dst), RejectionCode(refusal.Status), refusal.text), true
}

// RejectionCode returns the close code that stands for an HTTP status of 4xx or 5xx.
func RejectionCode(status int) wsproto.CloseCode { return wsproto.CloseCode(4000 + status) }

// AppendHealth appends the answer to a health request: body is JSON and comes
// with a GET only; HEAD gets the same headers, OPTIONS a 204 that lists the
// methods. The connection ends after it.
func (r Request) AppendHealth(dst []byte, status int, body []byte) []byte {
	if r.method == methodOptions {
		dst = appendStatus(dst, 204)
		return append(dst, "Connection: close\r\nAllow: "+healthMethods+"\r\n\r\n"...)
	}
	dst = appendStatus(dst, status)
	dst = append(dst, "Connection: close\r\nCache-Control: no-store\r\nContent-Type: application/json\r\n"...)
	dst = appendLength(dst, len(body))
	if r.method == methodHead {
		return dst
	}
	return append(dst, body...)
}

// appendStatus appends a status line. Answers are HTTP/1.1 whatever the request
// was (RFC 9110 section 2.5: the version tells what the sender understands).
func appendStatus(dst []byte, status int) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, statusText(status)...)
	return append(dst, "\r\n"...)
}

// appendLength appends Content-Length and the blank line.
func appendLength(dst []byte, n int) []byte {
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, "\r\n\r\n"...)
}

// statusText names the statuses that are used here; the phrase may be empty for
// others (RFC 9112 section 4).
func statusText(status int) string {
	switch status {
	case 200:
		return "OK"
	case 204:
		return "No Content"
	case 400:
		return "Bad Request"
	case 401:
		return "Unauthorized"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 408:
		return "Request Timeout"
	case 426:
		return "Upgrade Required"
	case 429:
		return "Too Many Requests"
	case 431:
		return "Request Header Fields Too Large"
	case 500:
		return "Internal Server Error"
	case 503:
		return "Service Unavailable"
	case 505:
		return "HTTP Version Not Supported"
	}
	return ""
}
