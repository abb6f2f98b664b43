// Package handshake is the way from a request head to the answer that opens or refuses a WebSocket: the server's side of
// RFC 6455 section 4.2, on top of RFC 9112, on bytes. The same for an event stream (eventstream.go). Package auth checks the
// tokens.
//
// The event loops of netpoll call it with what they read. Nothing here does I/O, starts a goroutine, looks at a clock or
// keeps a buffer: the time is an argument, and "not complete yet" is an ordinary answer ([HeadEnd] returns 0).
//
// The caller collects bytes until [HeadEnd] finds the end of the head or
// [MaxHead] is passed, then asks its [Upgrader]. [Upgrader.Read] parses in place and
// checks in this order: the syntax of the head, the path, the method, the
// upgrade headers, the origin, and whether there is one token. It answers with a
// [Request], or with a [Refusal], which holds its whole HTTP response. Then
// [Upgrader.Identify] looks at the token; where that takes longer than a loop may, [Upgrader.Check] has to follow on
// another goroutine.
//
// The parser is strict on purpose; where HTTP leaves a choice, these are made:
//
//   - A path is compared byte for byte with /ws, /sse, /health and the two under it. A percent-encoded
//     spelling such as /%77s is another path (404), so that a rule in a proxy
//     and Roost can't disagree about what a request is for.
//   - A target in absolute form (http://host/ws) is accepted, as RFC 9112
//     section 3.2.2 and RFC 6455 section 4.1 ask; its authority then counts
//     instead of Host, user information in it is refused.
//   - Lines end with CRLF. A bare LF, a bare CR, NUL and other control
//     characters, folded lines, white space before a colon, a second Host,
//     any Transfer-Encoding and any body are answered with 400.
//   - An HTTP minor version above 1 counts as 1 (RFC 9110 section 2.5),
//     another major version is answered with 505.
//
// It does not decide about limits, addresses or pace. No extension is spoken, so none is ever answered.
package handshake
