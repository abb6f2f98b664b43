// Package wsproto is WebSocket on bytes: it reads request heads and client
// frames out of buffers that others filled, and appends answers and server
// frames to buffers that others will write. It implements the server's side of
// RFC 6455 on top of RFC 9112 and RFC 7519.
//
// The event loops of netpoll call it with what they read, the hub calls it to
// build frames. Nothing here does I/O, starts a goroutine, looks at a clock or
// keeps a buffer: time and limits are arguments, and "not complete yet" is an
// ordinary answer ([HeadEnd] returns 0, [Decoder.Next] returns an event of kind
// [EventNone]).
//
// # The handshake
//
// The caller collects bytes until [HeadEnd] finds the end of the head or
// [MaxHead] is passed, then asks its [Gate]. [Gate.Read] parses in place and
// checks in this order: the syntax of the head, the path, the method, the
// upgrade headers, the origin, and whether there is one token. It answers with a
// [Request], or with a [Refusal], which holds its whole HTTP response. Then
// [Gate.Identify] looks at the token.
//
// A token is read twice at most: plainIdentity knows the usual spelling, at the cost of
// the user id; whatever it isn't sure of golang-jwt judges. A quick yes is always the
// library's yes too, and a quick no its no (FuzzPlainToken). The library is given no
// claims to parse of a token that no secret has signed. With public keys to check, which
// takes longer than a loop may, Identify leaves all but its own sure answers for later,
// and [Gate.Check] gives them on another goroutine.
//
// The parser is strict on purpose; where HTTP leaves a choice, these are made:
//
//   - A path is compared byte for byte with /ws, /health and the two under it. A percent-encoded
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
// # Frames
//
// A [Decoder] takes client bytes split anywhere. It unmasks in place, so the
// input is overwritten, and keeps no payload but that of a control frame which
// arrives in pieces. Of a text message it knows whether it was {"type":"ping"}. Encoders append to a destination. Frames that were built
// are not modified afterwards: one frame is shared by many connections.
//
// # What it does not do
//
// It does not decide about limits, addresses or pace, does not answer pings or
// close frames by itself, and knows neither sockets nor the hub. No
// extension is spoken, so none is ever answered.
package wsproto
