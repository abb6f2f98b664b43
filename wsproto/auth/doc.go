// Package auth checks tokens: JSON Web Tokens (RFC 7519) that are signed with a secret or with an issuer's key pair. An
// [Authenticator] says who a token's user is, in which groups, and until when; or an [Error] that says why not, in words
// for the client.
//
// Event loops call [Authenticator.Identify]; what would take longer than a loop may is left to [Authenticator.Check], on
// another goroutine. Nothing here does I/O, starts a goroutine, looks at a clock or keeps a token: the time is an argument.
//
// There is one reader. It takes a token apart, chooses the keys by the header's algorithm and then its kid, verifies the
// signature, and only then decodes a claim. golang-jwt verifies the signatures of key pairs and judges dates, issuer and
// audience; a fuzz test holds its parser against the answers (FuzzAgainstLibrary).
package auth
