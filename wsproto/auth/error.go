package auth

import "time"

// Reason is why a token is not accepted. Its text is a metric label and a log field.
type Reason uint8

// The reasons, in the order in which a token can meet them.
const (
	_              Reason = iota // none
	Malformed                    // not a JWT, or longer than MaxToken
	BadAlgorithm                 // none, or one that no key is for
	UnknownKey                   // signed with a key that is not known
	KeyPending                   // the key may be among those that are being fetched: the client may come again
	BadSignature                 //
	NoExpiry                     //
	Expired                      //
	NotYetValid                  // nbf in the future
	IssuedInFuture               // iat in the future
	BadIssuer                    // iss missing, or not the required one
	BadAudience                  // aud missing, or without a required one
	NoSubject                    //
	BadSubject                   // not 1 to 255 bytes of UTF-8 without control characters
	BadGroups                    // not a list of names, nor one

	// ReasonCount is one more than the last.
	ReasonCount = int(iota)
)

var reasonNames = [ReasonCount]string{
	Malformed:      "token_malformed",
	BadAlgorithm:   "token_algorithm",
	UnknownKey:     "token_key",
	KeyPending:     "token_key_pending",
	BadSignature:   "token_signature",
	NoExpiry:       "token_no_expiry",
	Expired:        "token_expired",
	NotYetValid:    "token_not_yet_valid",
	IssuedInFuture: "token_issued_in_future",
	BadIssuer:      "token_issuer",
	BadAudience:    "token_audience",
	NoSubject:      "token_no_subject",
	BadSubject:     "token_bad_subject",
	BadGroups:      "token_bad_groups",
}

// String returns the label.
func (r Reason) String() string {
	if int(r) < len(reasonNames) && reasonNames[r] != "" {
		return reasonNames[r]
	}
	return "unknown"
}

// Error is why a token is not accepted. Most are shared: don't modify one. Any goroutine.
type Error struct {
	Reason Reason
	// Text tells the client why, in one line of ASCII without quotes, so that a header and a close frame can hold it. It
	// never holds anything that the client sent.
	Text string
	// Wait is, with KeyPending, after how long the client may come again.
	Wait time.Duration

	leftOut bool // the token's key is one of Keys.LeftOut
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// The errors that never change. Shared, never written.
var (
	errTooLong      = &Error{Reason: Malformed, Text: "token malformed: longer than 8 KiB"}
	errMalformed    = &Error{Reason: Malformed, Text: "token malformed"}
	errQuoted       = &Error{Reason: Malformed, Text: "token malformed: it has quotes around it"}
	errPlaceholder  = &Error{Reason: Malformed, Text: "token malformed: the client has none, and sends undefined, null or [object …] in its place"}
	errScheme       = &Error{Reason: Malformed, Text: "token malformed: it begins with the word Bearer, which belongs into the header Authorization only"}
	errSpace        = &Error{Reason: Malformed, Text: "token malformed: it has white space in it or around it"}
	errParts        = &Error{Reason: Malformed, Text: "token malformed: a JWT has three parts with dots between them"}
	errCritical     = &Error{Reason: Malformed, Text: "token malformed: critical headers are not understood"}
	errKeyID        = &Error{Reason: Malformed, Text: "token malformed: kid is not a string"}
	errKeyFamily    = &Error{Reason: BadAlgorithm, Text: "token algorithm is not that of its key"}
	errUnknownKey   = &Error{Reason: UnknownKey, Text: "token of a key that is not known here"}
	errNoKeyID      = &Error{Reason: UnknownKey, Text: "token without the kid of a key, and more keys than are tried"}
	errSignature    = &Error{Reason: BadSignature, Text: "token signature wrong"}
	errNoExpiry     = &Error{Reason: NoExpiry, Text: "token without exp"}
	errExpired      = &Error{Reason: Expired, Text: "token expired"}
	errNotYetValid  = &Error{Reason: NotYetValid, Text: "token not valid yet"}
	errIssuedFuture = &Error{Reason: IssuedInFuture, Text: "token issued in the future"}
	errIssuer       = &Error{Reason: BadIssuer, Text: "token of another issuer"}
	errAudience     = &Error{Reason: BadAudience, Text: "token for another audience"}
	errBadGroups    = &Error{Reason: BadGroups, Text: "token with bad groups: up to 200 strings, or one, each of 1 to 255 bytes of UTF-8 without control characters"}
)

// errPending is for a token whose key is not here yet: the keys are being fetched.
func errPending(wait time.Duration) *Error {
	return &Error{Reason: KeyPending, Text: "token of a key that is not known here yet: the keys are being fetched", Wait: wait}
}
