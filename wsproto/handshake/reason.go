package handshake

import "roost/wsproto/auth"

// RefusalReason is why a connection got an HTTP answer instead of an upgrade. Its
// text is a metric label and a log field. It also indexes counters: values go from
// 0 to [RefusalReasonCount]-1.
type RefusalReason uint8

// The reasons, in the order in which a request can meet them.
const (
	ReasonProxyMissing        RefusalReason = iota // 400, a trusted proxy sent no PROXY header
	ReasonProxyInvalid                             // 400, or a broken one
	ReasonProxyUntrusted                           // 400, a PROXY header from an address that is no trusted proxy
	ReasonPlainHTTP                                // 400, HTTP without TLS on the TLS port
	ReasonHeadTooLarge                             // 431, no end within MaxHead
	ReasonHandshakeTimeout                         // 408, no end in time
	ReasonBadRequest                               // 400, not HTTP as Roost reads it
	ReasonHTTPVersion                              // 505
	ReasonNotFound                                 // 404
	ReasonMethod                                   // 405
	ReasonUpgradeRequired                          // 426, no WebSocket asked for
	ReasonWebSocketVersion                         // 426, not version 13
	ReasonWebSocketKey                             // 400
	ReasonOrigin                                   // 403
	ReasonEnded                                    // 204, an EventSource that was told to stay away and comes back by itself
	ReasonTicket                                   // 401, a ticket that isn't ours
	ReasonTokenMissing                             // 401, like all that follow…
	ReasonTokenDuplicate                           // … except this, 400
	ReasonTokenMalformed                           // not a JWT, or longer than auth.MaxToken
	ReasonTokenAlgorithm                           // none, or one that no key is for
	ReasonTokenKey                                 // signed with a key that is not known
	ReasonTokenSignature                           //
	ReasonTokenNoExpiry                            //
	ReasonTokenExpired                             //
	ReasonTokenNotYetValid                         // nbf in the future
	ReasonTokenIssuedInFuture                      // iat in the future
	ReasonTokenIssuer                              // iss missing, or not the one that is asked for
	ReasonTokenAudience                            // aud missing, or without one that is asked for
	ReasonTokenNoSubject                           //
	ReasonTokenBadSubject                          // not 1 to 255 bytes of UTF-8 without control characters
	ReasonTokenBadGroups                           // not a list of names, nor one
	ReasonFull                                     // 503, the limit of connections is reached
	ReasonOpenFiles                                // 503, no descriptor is left
	ReasonUserFull                                 // 429, that of the user's connections
	ReasonAddressFull                              // 429, that of the address's connections
	ReasonHandshakeRate                            // 503, handshakes come too fast
	ReasonChecksFull                               // 503, too many tokens wait to be checked
	ReasonKeyPending                               // 503, the token's key may be among those that are being fetched
	ReasonDraining                                 // 503, leaving service

	// RefusalReasonCount is how many reasons there are.
	RefusalReasonCount = int(iota)
)

var reasonNames = [RefusalReasonCount]string{
	ReasonProxyMissing:        "proxy_header_missing",
	ReasonProxyInvalid:        "proxy_header_invalid",
	ReasonProxyUntrusted:      "proxy_header_untrusted",
	ReasonPlainHTTP:           "plain_http",
	ReasonHeadTooLarge:        "head_too_large",
	ReasonHandshakeTimeout:    "handshake_timeout",
	ReasonBadRequest:          "bad_request",
	ReasonHTTPVersion:         "http_version",
	ReasonNotFound:            "not_found",
	ReasonMethod:              "method",
	ReasonUpgradeRequired:     "upgrade_required",
	ReasonWebSocketVersion:    "websocket_version",
	ReasonWebSocketKey:        "websocket_key",
	ReasonOrigin:              "origin",
	ReasonEnded:               "stream_ended",
	ReasonTicket:              "ticket",
	ReasonTokenMissing:        "token_missing",
	ReasonTokenDuplicate:      "token_duplicate",
	ReasonTokenMalformed:      auth.Malformed.String(),
	ReasonTokenAlgorithm:      auth.BadAlgorithm.String(),
	ReasonTokenKey:            auth.UnknownKey.String(),
	ReasonTokenSignature:      auth.BadSignature.String(),
	ReasonTokenNoExpiry:       auth.NoExpiry.String(),
	ReasonTokenExpired:        auth.Expired.String(),
	ReasonTokenNotYetValid:    auth.NotYetValid.String(),
	ReasonTokenIssuedInFuture: auth.IssuedInFuture.String(),
	ReasonTokenIssuer:         auth.BadIssuer.String(),
	ReasonTokenAudience:       auth.BadAudience.String(),
	ReasonTokenNoSubject:      auth.NoSubject.String(),
	ReasonTokenBadSubject:     auth.BadSubject.String(),
	ReasonTokenBadGroups:      auth.BadGroups.String(),
	ReasonFull:                "full",
	ReasonOpenFiles:           "open_files",
	ReasonUserFull:            "user_full",
	ReasonAddressFull:         "address_full",
	ReasonHandshakeRate:       "handshake_rate",
	ReasonChecksFull:          "token_checks_full",
	ReasonKeyPending:          auth.KeyPending.String(),
	ReasonDraining:            "draining",
}

// tokenReasons are the reasons for which a token is not accepted.
var tokenReasons = [auth.ReasonCount]RefusalReason{
	auth.Malformed:      ReasonTokenMalformed,
	auth.BadAlgorithm:   ReasonTokenAlgorithm,
	auth.UnknownKey:     ReasonTokenKey,
	auth.BadSignature:   ReasonTokenSignature,
	auth.NoExpiry:       ReasonTokenNoExpiry,
	auth.Expired:        ReasonTokenExpired,
	auth.NotYetValid:    ReasonTokenNotYetValid,
	auth.IssuedInFuture: ReasonTokenIssuedInFuture,
	auth.BadIssuer:      ReasonTokenIssuer,
	auth.BadAudience:    ReasonTokenAudience,
	auth.NoSubject:      ReasonTokenNoSubject,
	auth.BadSubject:     ReasonTokenBadSubject,
	auth.BadGroups:      ReasonTokenBadGroups,
	auth.KeyPending:     ReasonKeyPending,
}

// String returns the label.
func (r RefusalReason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "unknown"
}
