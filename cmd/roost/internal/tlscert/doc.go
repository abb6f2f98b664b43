// Package tlscert reads certificates and keys for TLS, says in words what is wrong with them, and reads them again when
// their files change. It opens the files it is told of and nothing else: the clock and the trusted roots are arguments.
//
// Load refuses what can't be served. Set.Problems says what can be served and will disappoint: a certificate that expires
// soon, a name that it is not for, a chain with a part missing, a slow key. Reloader replaces a Set whole or not at all.
package tlscert
