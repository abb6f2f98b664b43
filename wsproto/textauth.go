package wsproto

import (
	"errors"

	"roost/internal/jsonscan"
)

// A client renews its token with a text message, {"type":"auth","token":"…"}. It is longer than any other message has to be, so
// that it has a limit of its own.

// MaxAuth is enough for a message with the longest token, in bytes: 8 KiB of it, and the rest.
const MaxAuth = 8<<10 + 512

// Limits bound messages, in bytes, fragments counted together.
type Limits struct {
	// Message bounds each message; 0 is no bound.
	Message int
	// Auth bounds a message that renews a token, in place of Message, and says that there may be such messages; 0: they are as
	// all others, and nothing is kept of them. MaxAuth is enough.
	Auth int
}

// authText is what came of a message that renews a token, behind its beginning.
type authText struct{ kept []byte }

// Kept returns how many bytes are kept of an open message, see [Event.Auth].
func (d *Decoder) Kept() int {
	if d.auth == nil {
		return 0
	}
	return cap(d.auth.kept)
}

// DropAuth forgets what is kept of an open message that renews a token, for a connection that is about to close.
func (d *Decoder) DropAuth() { d.auth = nil }

// mayRenew reports whether the open message renews a token, or may turn out to.
func (d *Decoder) mayRenew() bool {
	return d.asking < textPingBranch || d.asking != textNeither && d.asking&textAuthBranch != 0
}

// readAuth takes what is behind the beginning of a message that renews a token, and refuses what is longer than its kind may be. It
// keeps the piece, unless the message has come whole: then it returns that.
func (d *Decoder) readAuth(behind []byte, limits Limits) (whole []byte, err *ProtocolError) {
	size := d.size + d.left
	switch {
	case limits.Auth == 0:
		d.auth = nil
		return nil, nil
	case d.asking.renews() && size > int64(limits.Auth), !d.mayRenew() && size > int64(limits.Message):
		return nil, errTooBig
	case !d.asking.renews():
		return nil, nil
	case d.auth == nil && d.left == 0 && d.head.fin():
		return behind, nil
	case d.auth == nil:
		d.auth = new(authText)
	}
	d.auth.kept = append(d.auth.kept, behind...)
	return nil, nil
}

// The errors of [AuthToken].
var (
	errAuthJSON  = errors.New("the message is not JSON")
	errAuthNone  = errors.New(`the message has no "token"`)
	errAuthTwice = errors.New(`the message has more than one "token"`)
	errAuthType  = errors.New(`the "token" is not a string`)
)

// AuthToken returns the token of a message that renews one, of which text is [Event.Payload]. The errors say what is wrong with the
// message, in a line of ASCII, and nothing of what is in it. Members that have no meaning here are ignored.
func AuthToken(text []byte) (token []byte, err error) {
	s := textAuth + string(text)
	end := jsonscan.SkipValue(s, 0, 0)
	if end > len(s) || jsonscan.SkipSpace(s, end) != len(s) {
		return nil, errAuthJSON
	}
	found := ""
	i, more := jsonscan.FirstMember(s, 0)
	for more {
		nameEnd, value, end := jsonscan.SkipMember(s, i, 1)
		if jsonscan.Unescaped(s[i:nameEnd]) == `"token"` {
			if found != "" {
				return nil, errAuthTwice
			}
			found = s[value:end]
		}
		i, more = jsonscan.NextMember(s, end)
	}
	switch {
	case found == "":
		return nil, errAuthNone
	case found[0] != '"':
		return nil, errAuthType
	}
	found = jsonscan.Unescaped(found)
	return []byte(found[1 : len(found)-1]), nil
}
