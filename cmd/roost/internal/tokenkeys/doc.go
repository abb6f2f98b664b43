// Package tokenkeys brings the public keys that tokens are checked with: out of a PEM file at the start, or from a
// JWKS that the issuer publishes (RFC 7517), fetched again now and then.
//
// cmd/roost calls it. [ReadFile] is plain code. [Remote] has one goroutine, Run; what it has fetched it hands to the
// authenticator, and nothing that checks tokens ever waits for it.
package tokenkeys
