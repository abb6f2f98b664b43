package handshake

import (
	"time"

	"roost/internal/position"
	"roost/wsproto"
)

// A client that can't use WebSockets asks for an event stream instead: GET /sse, "Server-sent events", section 9.2 of the HTML
// standard. Browsers do it by their EventSource, which decides by the answer whether to come back: after the end of a stream
// it connects again by itself, and after any other status than 200 never (section 9.2.3).

const streamMethods = "GET, OPTIONS"

// readEventStream reads a request for /sse. HTTP/1.0 is good enough: the answer ends with the connection.
func (u *Upgrader) readEventStream(h *head) (Request, *Refusal) {
	request := Request{Kind: EventStream, Since: h.readLastEventID(), retries: h.acceptsEvents, forwarded: h.forwarded}
	request.WantsID, request.Connection = h.readHello()
	if h.origin.count > 0 {
		if !u.origins.allow(h.origin.value) {
			request.Origin = h.origin.value
			return request, refuseOrigin
		}
		request.page = h.origin.value
	}
	switch string(h.method) {
	case "GET":
	case "OPTIONS":
		request.Kind = Preflight
		return request, nil
	default:
		return request, refuseStreamMethod
	}
	if string(h.lastEventID.value) == wsproto.EndedID {
		return request, refuseEnded
	}
	refusal := u.readCredentials(h, &request)
	return request, refusal
}

// readLastEventID reads where the client of an event stream was before. EventSource connects again with the URL that the page
// gave it once: Last-Event-ID is newer than what that says.
func (h *head) readLastEventID() string {
	switch id := h.lastEventID.value; {
	case len(id) == 0:
		return h.readSince()
	case !position.Valid(id):
		return UnknownPosition
	default:
		return string(id)
	}
}

// AppendEventStream appends the answer that begins an event stream. retry is what the client is told to wait before it
// connects again. No proxy may keep it or hold it back: X-Accel-Buffering is nginx's.
func (r *Request) AppendEventStream(dst []byte, retry time.Duration) []byte {
	dst = appendStatus(dst, 200)
	dst = append(dst, "Connection: close\r\nCache-Control: no-store\r\nContent-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n"...)
	dst = r.appendCORS(dst)
	return wsproto.AppendRetry(append(dst, "\r\n"...), retry)
}

// appendCORS appends what lets a page of another origin read the answer, if one has asked: its own origin, because that alone
// may stand beside credentials (Fetch standard, section 3.3.5). They are let in for the cookies of a balancer; Roost has none.
func (r *Request) appendCORS(dst []byte) []byte {
	if len(r.page) == 0 {
		return dst
	}
	dst = append(dst, "Access-Control-Allow-Origin: "...)
	dst = append(dst, r.page...)
	return append(dst, "\r\nAccess-Control-Allow-Credentials: true\r\nAccess-Control-Expose-Headers: Retry-After, WWW-Authenticate\r\nVary: Origin\r\n"...)
}

// AppendPreflight appends the answer to an OPTIONS for /sse, which browsers send before a request with Authorization.
func (r *Request) AppendPreflight(dst []byte) []byte {
	dst = appendStatus(dst, 204)
	dst = append(dst, "Connection: close\r\nAllow: "+streamMethods+"\r\n"...)
	if len(r.page) > 0 {
		dst = r.appendCORS(dst)
		dst = append(dst, "Access-Control-Allow-Methods: GET\r\nAccess-Control-Allow-Headers: Authorization, Cache-Control, Last-Event-ID\r\nAccess-Control-Max-Age: 7200\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// AppendStreamRefusal appends a refusal of a request for an event stream. An EventSource never comes back from another status
// than 200. So where it helps to come back, and the client says that it reads events, the answer is a stream that ends at
// once: with how long to wait, and the event that a WebSocket's close frame would be.
func (r *Request) AppendStreamRefusal(dst []byte, refusal *Refusal) []byte {
	if refusal.Status != 503 || !r.retries {
		return refusal.append(dst, r.appendCORS(nil))
	}
	dst = r.AppendEventStream(dst, refusal.Wait)
	var frame [128]byte
	return wsproto.AppendCloseEvent(dst, wsproto.AppendClose(frame[:0], RejectionCode(refusal.Status), refusal.text))
}
