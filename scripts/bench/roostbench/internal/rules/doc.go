// Package rules holds what RFC 6455 and HTTP demand of a WebSocket server, as
// data: what a client sends, and what may come of it. It plays each case over
// sockets, in one piece, byte by byte and split in two, and says what came.
//
// Where the RFCs leave a choice, each choice passes; where they only recommend,
// the case is advice, which is told but is not a failure.
package rules
