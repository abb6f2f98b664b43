// Package wire is the client's side of the protocol, on bytes: the handshake
// request with its token, what the server answers, and frames. It does no I/O
// and knows nothing of the server but what is on the wire.
//
// Its reader is strict: what RFC 6455 forbids a server to send is an error here,
// even where browsers look the other way, because a measuring tool that forgives
// measures something else.
package wire
