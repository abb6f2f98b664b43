package wsproto

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"time"

	"roost/internal/position"
)

// A client that can't use WebSockets gets the same messages as events of a text/event-stream: "Server-sent events", section
// 9.2 of the HTML standard. Roost builds frames only; these functions say the same in events.

// Full to its capacity, so that appending to it copies. The standard has such a comment keep the connection open.
var heartbeat = []byte(":\n\n")

// Heartbeat returns the comment that an event stream gets in place of a [Ping]. It is shared and must not be modified.
func Heartbeat() []byte { return heartbeat }

// AppendEvents appends text messages as events, one for each frame of frames. Each of these has to be whole, and to begin
// as [AppendTextHeader] writes it. The data are the message's bytes. A message of several lines gets a data field for each
// line, which the client joins again with line feeds: a carriage return in JSON, where it is white space, arrives as one.
//
// A message that names a position has it as the event's id too, which the client sends back when it connects again.
func AppendEvents(dst, frames []byte) []byte {
	for len(frames) > 0 {
		var text []byte
		text, frames = cutText(frames)
		if id := positionOf(text); position.Valid(id) {
			dst = append(append(append(dst, "id: "...), id...), '\n')
		}
		dst = appendData(dst, text)
		dst = append(dst, '\n')
	}
	return dst
}

// positionOf returns the position that a message of Roost's names: as the last member of an envelope, behind the timestamp,
// which is always there, or in a hello. It returns nil where the position is not valid.
func positionOf(text []byte) []byte {
	if rest, ok := bytes.CutPrefix(text, []byte(`{"type":"_hello","payload":{"id":"`)); ok {
		id, _, _ := bytes.Cut(rest, []byte{'"'})
		return id
	}
	rest, ok := bytes.CutSuffix(text, []byte(`"}`))
	if !ok {
		return nil
	}
	const before = `","id":"`
	at := bytes.LastIndex(rest, []byte(before))
	if at < 0 {
		return nil
	}
	return rest[at+len(before):]
}

// cutText cuts the payload of the first frame off.
func cutText(frames []byte) (text, rest []byte) {
	size, from := int(frames[1]), 2
	switch size {
	case length16:
		size, from = int(binary.BigEndian.Uint16(frames[2:])), 4
	case length64:
		size, from = int(binary.BigEndian.Uint64(frames[2:])), 10
	}
	return frames[from : from+size], frames[from+size:]
}

// appendData appends data fields. A line ends with CR LF, LF or CR.
func appendData(dst, text []byte) []byte {
	for {
		dst = append(dst, "data: "...)
		end := bytes.IndexAny(text, "\r\n")
		if end < 0 {
			dst = append(dst, text...)
			return append(dst, '\n')
		}
		dst = append(dst, text[:end]...)
		dst = append(dst, '\n')
		if text[end] == '\r' && end+1 < len(text) && text[end+1] == '\n' {
			end++
		}
		text = text[end+1:]
	}
}

// AppendRetry appends the field that tells a client how long to wait before it connects again, in a block of its own.
func AppendRetry(dst []byte, wait time.Duration) []byte {
	dst = append(dst, "retry: "...)
	dst = strconv.AppendInt(dst, wait.Milliseconds(), 10)
	return append(dst, "\n\n"...)
}

// EndedID is the last event id of a stream whose client is to stay away. An EventSource connects again whatever it was told,
// and sends the last id that it saw: one that sends this is to be stopped, by a 204.
const EndedID = "!ended"

// AppendPositionEvent appends the event of a connection on which nothing comes: its type is "position", its data and its id are
// the position. Data there have to be, or Firefox takes no notice of the id.
func AppendPositionEvent(dst []byte, p position.Position) []byte {
	dst = p.Append(append(dst, "event: position\nid: "...))
	dst = p.Append(append(dst, "\ndata: "...))
	return append(dst, "\n\n"...)
}

// AppendCloseEvent appends the event that tells what a close frame tells, as [AppendClose] writes one: its type is "close",
// its data are {"code":1001,"reason":"…"}. A position at the end of the reason is the event's id. Where the code says that the
// client is to stay away, it has [EndedID].
func AppendCloseEvent(dst, closeFrame []byte) []byte {
	var code CloseCode
	var reason []byte
	if len(closeFrame) >= 4 {
		code, reason = CloseCode(binary.BigEndian.Uint16(closeFrame[2:])), closeFrame[4:]
	}
	id := []byte(EndedID)
	if !code.Final() {
		reason, id = cutID(reason)
	}
	if len(id) > 0 {
		dst = append(append(append(dst, "id: "...), id...), '\n')
	}
	dst = append(dst, "event: close\ndata: {\"code\":"...)
	dst = strconv.AppendUint(dst, uint64(code), 10)
	dst = append(dst, ",\"reason\":"...)
	text, err := json.Marshal(string(reason))
	if err != nil {
		text = []byte(`""`) // a string can always be written
	}
	dst = append(dst, text...)
	return append(dst, "}\n\n"...)
}

// cutID cuts a position off the end of a reason.
func cutID(reason []byte) (text, id []byte) {
	at := bytes.LastIndex(reason, []byte(beforeID))
	if at < 0 || !position.Valid(reason[at+len(beforeID):]) {
		return reason, nil
	}
	return reason[:at], reason[at+len(beforeID):]
}
