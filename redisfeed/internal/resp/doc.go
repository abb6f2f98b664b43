// Package resp reads what Redis sends to a subscriber, and writes the commands that a subscriber sends: the part of RESP2
// that pub/sub needs. It is functions on bytes and a [Buffer], with no I/O of its own; incomplete input is an ordinary
// answer. A Buffer belongs to one goroutine.
//
// The source is Redis's protocol specification (RESP2) and its page on pub/sub ("Format of pushed messages").
package resp
