package handshake

import (
	"strconv"
	"time"

	"roost/wsproto/auth"
)

// Refusal is an HTTP answer that ends the connection, and it already holds all of
// it. Many are shared: don't modify one. Any goroutine.
type Refusal struct {
	Status int           // HTTP status
	Reason RefusalReason // for counters and logs
	fields string        // header lines beyond the usual ones, each with its CRLF
	text   string        // one line that tells the client why
	bare   bool          // without the body: the answer to a HEAD

	// Wait is after how long the client may come again, at the earliest; 0 where that is not known.
	Wait time.Duration
}

// Text is the line that tells the client why. It never holds anything that the
// client sent.
func (r *Refusal) Text() string { return r.text }

// Append appends the whole response: status line, headers with Connection: close
// and Content-Length, and the body, unless the request was a HEAD.
func (r *Refusal) Append(dst []byte) []byte { return r.append(dst, nil) }

// append is Append with more header lines, each with its CRLF.
func (r *Refusal) append(dst, more []byte) []byte {
	dst = appendStatus(dst, r.Status)
	if r.Status == 426 {
		// RFC 9110 section 7.8: a sender of Upgrade also names it in Connection.
		dst = append(dst, "Connection: upgrade, close\r\nUpgrade: websocket\r\n"...)
	} else {
		dst = append(dst, "Connection: close\r\n"...)
	}
	dst = append(dst, r.fields...)
	dst = append(dst, more...)
	if r.Status == 204 {
		return append(dst, "\r\n"...) // RFC 9110 section 15.3.5: it has no content
	}
	dst = append(dst, "Cache-Control: no-store\r\nContent-Type: text/plain; charset=utf-8\r\n"...)
	dst = appendLength(dst, len(r.text)+1)
	if r.bare {
		return dst
	}
	dst = append(dst, r.text...)
	return append(dst, '\n')
}

func (r *Refusal) withoutBody() *Refusal {
	bare := *r
	bare.bare = true
	return &bare
}

// RefuseHeadTooLarge is the answer to a head that doesn't end within [MaxHead].
func RefuseHeadTooLarge() *Refusal { return refuseHeadTooLarge }

// RefuseTimeout is the answer when the head did not arrive in time.
func RefuseTimeout() *Refusal { return refuseTimeout }

// RefuseProxyMissing is the answer to a trusted proxy that sends no PROXY header where one has to come.
func RefuseProxyMissing() *Refusal { return refuseProxyMissing }

// RefuseProxyInvalid is the answer to a PROXY header that is broken.
func RefuseProxyInvalid() *Refusal { return refuseProxyInvalid }

// RefuseProxyUntrusted is the answer to a PROXY header from an address that is no trusted proxy.
func RefuseProxyUntrusted() *Refusal { return refuseProxyUntrusted }

// RefusePlainHTTP is the answer to HTTP without TLS on the TLS port.
func RefusePlainHTTP() *Refusal { return refusePlainHTTP }

// RefuseFull is the answer when a limit is reached. retryAfter is told in whole
// seconds, rounded up, at least 1.
func RefuseFull(retryAfter time.Duration) *Refusal {
	return refuseForNow(503, ReasonFull, "no room for another connection", retryAfter)
}

// RefuseOpenFiles is the answer when the process, or the machine, has no descriptor left. retryAfter is as in
// [RefuseFull].
func RefuseOpenFiles(retryAfter time.Duration) *Refusal {
	return refuseForNow(503, ReasonOpenFiles, "no file descriptor for another connection", retryAfter)
}

// RefuseUserFull is the answer when the user has as many connections as one may have. retryAfter is as in
// [RefuseFull], and so it is in the next ones.
func RefuseUserFull(retryAfter time.Duration) *Refusal {
	return refuseForNow(429, ReasonUserFull, "too many connections of this user", retryAfter)
}

// RefuseAddressFull is the answer when the client's address has as many connections as one may have.
func RefuseAddressFull(retryAfter time.Duration) *Refusal {
	return refuseForNow(429, ReasonAddressFull, "too many connections from this address", retryAfter)
}

// RefuseBusy is the answer when handshakes come faster than they may.
func RefuseBusy(retryAfter time.Duration) *Refusal {
	return refuseForNow(503, ReasonHandshakeRate, "too many handshakes at a time", retryAfter)
}

// RefuseChecksFull is the answer when more tokens wait to be checked than may.
func RefuseChecksFull(retryAfter time.Duration) *Refusal {
	return refuseForNow(503, ReasonChecksFull, "too many tokens to check at a time", retryAfter)
}

// RefuseKeyPending is the answer to a token whose key is not here yet: the keys are being fetched.
func RefuseKeyPending(retryAfter time.Duration) *Refusal {
	return refuseForNow(503, ReasonKeyPending, "token of a key that is not known here yet: the keys are being fetched", retryAfter)
}

// RefuseEarly is the answer to a client that says too much before it has got its own.
func RefuseEarly() *Refusal { return refuseEarly }

// RefuseDraining is the answer while this instance leaves service.
func RefuseDraining(retryAfter time.Duration) *Refusal {
	return refuseForNow(503, ReasonDraining, "leaving service", retryAfter)
}

// refuseToken is the answer to a token that is not accepted.
func refuseToken(problem *auth.Error) *Refusal {
	if problem.Reason == auth.KeyPending {
		return RefuseKeyPending(problem.Wait)
	}
	return badToken(tokenReasons[problem.Reason], problem.Text)
}

func refuseForNow(status int, reason RefusalReason, text string, retryAfter time.Duration) *Refusal {
	seconds := max(1, int64((retryAfter+time.Second-1)/time.Second))
	return &Refusal{
		Status: status,
		Reason: reason,
		fields: "Retry-After: " + strconv.FormatInt(seconds, 10) + "\r\n",
		text:   text,
		Wait:   retryAfter,
	}
}

// The refusals that never change. Shared, never written.
var (
	refuseHeadTooLarge = refuse(431, ReasonHeadTooLarge, "request head longer than 16 KiB")
	refuseTimeout      = refuse(408, ReasonHandshakeTimeout, "request head not complete in time")

	refuseProxyMissing   = refuse(400, ReasonProxyMissing, "bad request: a connection from a trusted proxy has to begin with a PROXY header")
	refuseProxyInvalid   = refuse(400, ReasonProxyInvalid, "bad request: bad PROXY header")
	refuseProxyUntrusted = refuse(400, ReasonProxyUntrusted, "bad request: a PROXY header from an address that is no trusted proxy")

	refusePlainHTTP = refuse(400, ReasonPlainHTTP, "bad request: this port speaks TLS: use https:// or wss://")

	refuseUnfinished  = badRequest("request head without an end")
	refuseTrailing    = badRequest("bytes behind the request head")
	refuseBareLF      = badRequest("a line must end with CR LF")
	refuseRequestLine = badRequest("bad request line")
	refuseTarget      = badRequest("bad request target")
	refuseFolded      = badRequest("folded header line")
	refuseHeaderLine  = badRequest("header line without a name or a colon")
	refuseHeaderName  = badRequest("bad character in a header name or white space around it")
	refuseHeaderValue = badRequest("control character in a header")
	refuseNoHost      = badRequest("Host missing")
	refuseTwoHosts    = badRequest("more than one Host")
	refuseBadHost     = badRequest("bad Host")
	refuseBody        = badRequest("a body is not accepted here (POST /publish is on the admin server, HTTP_PORT)")
	refuseTwoOrigins  = badRequest("more than one Origin")
	refuseEarly       = badRequest("frames before the answer to the handshake")

	refuseHTTPVersion    = refuse(505, ReasonHTTPVersion, "only HTTP/1 is spoken here")
	refuseNotFound       = refuse(404, ReasonNotFound, "not found: only /ws and /health are here")
	refuseNotFoundBeside = refuse(404, ReasonNotFound, "not found: only /ws, /sse and /health are here")
	refuseStreamMethod   = refuse(405, ReasonMethod, "method not allowed: use GET", "Allow: "+streamMethods+"\r\n")
	refuseEnded          = refuse(204, ReasonEnded, "the stream has ended for good")
	refuseUpgradeMethod  = refuse(405, ReasonMethod, "method not allowed: use GET", "Allow: GET\r\n")
	refuseHealthMethod   = refuse(405, ReasonMethod, "method not allowed: use GET, HEAD or OPTIONS", "Allow: "+healthMethods+"\r\n")

	refuseNoUpgrade        = refuse(426, ReasonUpgradeRequired, "this is a WebSocket endpoint: Connection: Upgrade and Upgrade: websocket required; a proxy has to pass both on")
	refuseOldHTTP          = refuse(426, ReasonUpgradeRequired, "this is a WebSocket endpoint, and the request is HTTP/1.0: a proxy has to use HTTP/1.1 and pass Upgrade and Connection on (nginx: proxy_http_version 1.1)")
	refuseWebSocketVersion = refuse(426, ReasonWebSocketVersion, "Sec-WebSocket-Version must be 13, once", "Sec-WebSocket-Version: 13\r\n")
	refuseWebSocketKey     = refuse(400, ReasonWebSocketKey, "Sec-WebSocket-Key must be 16 bytes in base64, once")
	refuseOrigin           = refuse(403, ReasonOrigin, "origin not allowed")

	refuseTicket        = badToken(ReasonTicket, "ticket not valid")
	refuseTokenMissing  = refuse(401, ReasonTokenMissing, "token missing", challenge("", ""))
	refuseTokenTwice    = refuse(400, ReasonTokenDuplicate, "more than one token", challenge("invalid_request", "more than one token"))
	refuseBearerAlone   = badRequest("a token in Sec-WebSocket-Protocol needs " + Protocol + " beside it, to be answered")
	refuseTokenTooLong  = badToken(ReasonTokenMalformed, "token malformed: longer than 8 KiB")
	refuseTokenEncoding = badToken(ReasonTokenMalformed, "token malformed")
)

func refuse(status int, reason RefusalReason, text string, fields ...string) *Refusal {
	r := &Refusal{Status: status, Reason: reason, text: text}
	for _, field := range fields {
		r.fields += field
	}
	return r
}

func badRequest(text string) *Refusal {
	return refuse(400, ReasonBadRequest, "bad request: "+text)
}

func badToken(reason RefusalReason, text string) *Refusal {
	return refuse(401, reason, text, challenge("invalid_token", text))
}

// challenge builds the WWW-Authenticate header of RFC 6750 section 3. The scheme
// MUST be followed by at least one parameter; a request without any token gets no
// error code.
func challenge(code, description string) string {
	if code == "" {
		return "WWW-Authenticate: Bearer realm=\"roost\"\r\n"
	}
	return "WWW-Authenticate: Bearer realm=\"roost\", error=\"" + code + "\", error_description=\"" + description + "\"\r\n"
}
