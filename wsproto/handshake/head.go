package handshake

import "bytes"

// MaxHead bounds a request head in bytes, the blank line included. A caller that
// holds as many without an end answers [RefuseHeadTooLarge]; [Upgrader.Read] answers
// so too when it is given more.
const MaxHead = 16 << 10

// HeadEnd returns the length of the request head at the start of buf, the blank
// line included, or 0 while it is incomplete. Pass the result to [Upgrader.Read].
//
// from is how many bytes of the same head an earlier call has looked at (0 at
// first), so that a head which comes a byte at a time costs linear work in all.
//
// A head that can't become a valid one any more ends early: behind a line feed
// without a carriage return, or behind a first byte that no method begins with
// (the blank line of a chatty client, the hello of a TLS client). Read
// answers 400 to such a piece, so the client hears at once and not at the
// handshake deadline.
func HeadEnd(buf []byte, from int) int {
	if len(buf) > 0 && !tokenChars.has[buf[0]] {
		return 1
	}
	for i := max(from, 0); i < len(buf); i++ {
		feed := bytes.IndexByte(buf[i:], '\n')
		if feed < 0 {
			return 0
		}
		i += feed
		if buf[i-1] != '\r' || buf[i-2] == '\n' {
			return i + 1
		}
	}
	return 0
}
