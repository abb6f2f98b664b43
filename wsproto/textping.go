package wsproto

// A page can't send WebSocket pings and does not see those that it gets, so that it
// may ask in text: {"type":"ping"}, answered by {"type":"pong"}.
const (
	textPing = `{"type":"ping"}`
	textPong = `{"type":"pong"}`
	textAuth = `{"type":"auth"` // and a token behind it
)

// Full to its capacity, so that appending to it copies.
var textPongFrame = append(AppendTextHeader(make([]byte, 0, 2+len(textPong)), len(textPong)), textPong...)

// TextPong returns the text message that answers a [Event.TextPing]. It is shared
// and must not be modified.
func TextPong() []byte { return textPongFrame }

// textMatch recognizes a ping, or the beginning of a message that renews a token, while the message comes, and keeps
// nothing of it but how far it agrees. White space may be where JSON allows it; the message is
// compared letter by letter otherwise: a text with escapes is neither, and one with another member is not a ping.
//
// It is the number of bytes of textPing so far; once those of textAuth are others, textAuthBranch and their number; or textNeither.
type textMatch uint8

const (
	textPingBranch textMatch = 10   // from here on it is a ping, or neither
	textAuthBranch textMatch = 0x20 // a bit
	textAuthDone             = textAuthBranch | textMatch(len(textAuth))
	textNeither    textMatch = 0xff
)

// write takes the next piece of a message. It returns what is behind textAuth, if that is how the message begins.
func (m *textMatch) write(piece []byte) (behind []byte) {
	for i, b := range piece {
		switch {
		case *m == textAuthDone:
			return piece[i:]
		case *m == textNeither:
			return nil
		case m.agrees(b):
			*m++
		case *m == textPingBranch-1 && b == textAuth[textPingBranch-1]:
			*m = textAuthBranch | textPingBranch
		case m.betweenTokens() && isJSONSpace(b):
		default:
			*m = textNeither
		}
	}
	return nil
}

// agrees reports whether b is the next byte of what the message agrees with so far.
func (m textMatch) agrees(b byte) bool {
	if m&textAuthBranch != 0 {
		return b == textAuth[m&^textAuthBranch]
	}
	return int(m) < len(textPing) && b == textPing[m]
}

// isPing reports whether the message is a ping, if it ends here.
func (m textMatch) isPing() bool { return int(m) == len(textPing) }

// renews reports whether the message begins as one that renews a token.
func (m textMatch) renews() bool { return m == textAuthDone }

// possible reports whether m is anything that write makes.
func (m textMatch) possible() bool {
	return int(m) <= len(textPing) || m == textNeither || m >= textAuthBranch|textPingBranch && m <= textAuthDone
}

// betweenTokens reports whether none of {, "type", :, "ping", "auth" and } is under way.
func (m textMatch) betweenTokens() bool {
	switch m {
	case 0, 1, 7, 8, 14, 15:
		return true
	}
	return false
}

func isJSONSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\r' || b == '\t' }
