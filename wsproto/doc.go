// Package wsproto is the frames of RFC 6455, on bytes: it reads client frames out of buffers that others filled, and
// appends server frames to buffers that others will write. Beside it, handshake reads requests and answers them, and auth
// checks tokens.
//
// The event loops of netpoll call it with what they read, the hub calls it to
// build frames. Nothing here does I/O, starts a goroutine, looks at a clock or
// keeps a buffer: limits are arguments, and "not complete yet" is an ordinary answer ([Decoder.Next] returns an event of
// kind [EventNone]).
//
// A [Decoder] takes client bytes split anywhere. It unmasks in place, so the
// input is overwritten, and keeps no payload but that of a control frame which
// arrives in pieces, and of a message that renews a token ([Limits]). Of a text message it knows whether it was
// {"type":"ping"}. Encoders append to a destination. Frames
// that were built are not modified afterwards: one frame is shared by many connections.
//
// It does not answer pings or close frames by itself, and knows neither sockets nor the hub. No extension is spoken.
package wsproto
