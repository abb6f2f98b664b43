package handshake

// The refusals that never change. Shared, never written.
var (
	refuseHeadTooLarge = refuse(431, ReasonHeadTooLarge, "request head longer than 16 KiB")
	refuseTimeout      = refuse(408, ReasonHandshakeTimeout, "request head not complete in time")

	refuseProxyMissing   = refuse(400, ReasonProxyMissing, "bad request: a connection from a trusted proxy has to begin with a PROXY header")
	refuseProxyInvalid   = refuse(400, ReasonProxyInvalid, "bad request: bad PROXY header")
	refuseProxyUntrusted = refuse(400, ReasonProxyUntrusted, "bad request: a PROXY header from an address that is no trusted proxy")

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
	refuseBody        = badRequest("a body is not accepted here")
	refuseTwoOrigins  = badRequest("more than one Origin")
	refuseEarly       = badRequest("frames before the answer to the handshake")

	refuseHTTPVersion   = refuse(505, ReasonHTTPVersion, "only HTTP/1 is spoken here")
	refuseNotFound      = refuse(404, ReasonNotFound, "not found: only /ws and /health are here")
	refuseUpgradeMethod = refuse(405, ReasonMethod, "method not allowed: use GET", "Allow: GET\r\n")
	refuseHealthMethod  = refuse(405, ReasonMethod, "method not allowed: use GET, HEAD or OPTIONS", "Allow: "+healthMethods+"\r\n")

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
