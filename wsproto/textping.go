package wsproto

// A page can't send WebSocket pings and does not see those that it gets, so that it
// may ask in text: {"type":"ping"}, answered by {"type":"pong"}.
const (
	textPing = `{"type":"ping"}`
	textPong = `{"type":"pong"}`
)

// Full to its capacity, so that appending to it copies.
var textPongFrame = append(AppendTextHeader(make([]byte, 0, 2+len(textPong)), len(textPong)), textPong...)

// TextPong returns the text message that answers a [Event.TextPing]. It is shared
// and must not be modified.
func TextPong() []byte { return textPongFrame }

// textPingMatch recognizes a ping while the message comes, and keeps nothing of it
// but how far it agrees. White space may be where JSON allows it; the message is
// compared letter by letter otherwise: a text with escapes, or with another member,
// is not a ping.
type textPingMatch uint8 // bytes of textPing so far, or textPingNot

const textPingNot textPingMatch = 0xff

func (m *textPingMatch) write(piece []byte) {
	for _, b := range piece {
		switch {
		case *m == textPingNot:
			return
		case int(*m) < len(textPing) && b == textPing[*m]:
			*m++
		case m.betweenTokens() && isJSONSpace(b):
		default:
			*m = textPingNot
		}
	}
}

func (m textPingMatch) complete() bool { return int(m) == len(textPing) }

// betweenTokens reports whether none of {, "type", :, "ping" and } is under way.
func (m textPingMatch) betweenTokens() bool {
	switch m {
	case 0, 1, 7, 8, 14, 15:
		return true
	}
	return false
}

func isJSONSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\r' || b == '\t' }
