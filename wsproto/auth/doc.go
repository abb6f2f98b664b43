// Package auth checks tokens: JSON Web Tokens (RFC 7519) that are signed with a secret or with an issuer's key pair. An
// [Authenticator] says who a token's user is, in which groups, and until when; or an [Error] that says why not, in words
// for the client.
//
// Event loops call [Authenticator.Identify]; what would take longer than a loop may is left to [Authenticator.Check], on
// another goroutine. Nothing here does I/O, starts a goroutine, looks at a clock or keeps a token: the time is an argument.
//
// A token is read twice at most: plainIdentity knows the usual spelling, at the cost of
// the user id; whatever it isn't sure of golang-jwt judges. A quick yes is always the
// library's yes too, and a quick no its no (FuzzPlainToken). The library is given no
// claims to parse of a token that no secret has signed.
package auth
