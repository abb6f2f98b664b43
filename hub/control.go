package hub

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"unicode/utf8"

	"roost/wsproto"
)

// What a disconnect command says when it leaves it out.
const (
	DefaultDisconnectCode   wsproto.CloseCode = 4403
	DefaultDisconnectReason                   = "disconnected"
)

// maxCloseReason is, in bytes, what a close frame has room for behind its code (RFC 6455 section 5.5).
const maxCloseReason = 123

// What can be wrong with a command. The texts show nothing of it: they are logged.
var (
	errControlUser   = errors.New("its channel's name ends with what is no user id")
	errControlUTF8   = errors.New("bytes that are not UTF-8")
	errControlJSON   = errors.New("not JSON")
	errControlShape  = errors.New(`not an object with "disconnect" as its only member`)
	errControlObject = errors.New(`"disconnect" is not an object`)
	errControlMember = errors.New(`"disconnect" has a member that is neither "code" nor "reason"`)
	errControlTwice  = errors.New(`"disconnect" has a member twice`)
	errControlCode   = errors.New(`"code" is not an integer that is 1000, 1008 or from 3000 to 4999`)
	errControlReason = errors.New(`"reason" is not a string of at most 123 bytes`)
)

// disconnect is the one command that there is.
type disconnect struct {
	code   wsproto.CloseCode
	reason string
}

// Control does what a backend commands for user: {"disconnect":{"code":4403,"reason":"signed out"}} ends every
// connection of user that is admitted here, behind what was delivered to it; nothing is delivered to it after. Both
// members may be absent. Anything else is counted, logged at a bounded rate and left out: a command that is half
// understood would be worse than none.
//
// Any goroutine may call it; the one that calls Deliver keeps the order between both. It never waits.
func (h *Hub) Control(user, payload string) {
	if IsProbe(user) {
		return
	}
	command, err := parseControl(payload)
	if !wsproto.ValidUser(user) {
		user, err = "", errControlUser // a name can be as long as Redis lets it
	}
	if err != nil {
		h.stats.commandsInvalid.Add(1)
		h.commandLog.warnCommand(user, err, len(payload))
		return
	}
	h.stats.commands.Add(1)
	hash := h.hash(user)
	only, several := h.shard(hash).collect(user, hash, &h.spareBatch)
	defer h.spareBatch.keep(several)
	switch {
	case several != nil:
		// From the back: leaving a crowd that keeps its order moves all that came later.
		for _, c := range slices.Backward(several.conns) {
			h.showOut(c, command)
		}
	case only != nil:
		h.showOut(only, command)
	}
}

// showOut forgets the connection first: its loop gets to the end later, and until then must be given nothing more.
func (h *Hub) showOut(c Conn, command disconnect) {
	h.Remove(c)
	c.Disconnect(command.code, command.reason)
}

// CheckControl says what is wrong with a command that is about to be published, or nil: for tools that publish.
func CheckControl(published string) error {
	_, err := parseControl(published)
	return err
}

// parseControl reads a command. The whole of it is checked to be JSON first, so the walks after that can't fail.
func parseControl(s string) (disconnect, error) {
	if !utf8.ValidString(s) {
		return disconnect{}, errControlUTF8
	}
	start := skipSpace(s, 0)
	if skipSpace(s, skipValue(s, start, 0)) != len(s) {
		return disconnect{}, errControlJSON
	}
	if s[start] != '{' {
		return disconnect{}, errControlShape
	}
	i, more := firstMember(s, start)
	if !more {
		return disconnect{}, errControlShape
	}
	nameEnd, value, end := skipMember(s, i, 1)
	if _, more = nextMember(s, end); more || memberName(s[i:nameEnd]) != `"disconnect"` {
		return disconnect{}, errControlShape
	}
	if s[value] != '{' {
		return disconnect{}, errControlObject
	}
	return readDisconnect(s, value)
}

// readDisconnect reads the object that opens at s[i].
func readDisconnect(s string, i int) (disconnect, error) {
	d := disconnect{code: DefaultDisconnectCode, reason: DefaultDisconnectReason}
	var err error
	var hasCode, hasReason bool
	i, more := firstMember(s, i)
	for more {
		nameEnd, value, end := skipMember(s, i, 2)
		var again bool
		switch memberName(s[i:nameEnd]) {
		case `"code"`:
			again, hasCode = hasCode, true
			d.code, err = readCode(s[value:end])
		case `"reason"`:
			again, hasReason = hasReason, true
			d.reason, err = readReason(s[value:end])
		default:
			err = errControlMember
		}
		if again {
			err = errControlTwice
		}
		if err != nil {
			return disconnect{}, err
		}
		i, more = nextMember(s, end)
	}
	return d, nil
}

// readCode reads a close code that an application may send: those that say how the protocol went are the server's.
func readCode(value string) (wsproto.CloseCode, error) {
	number, err := strconv.ParseUint(value, 10, 16)
	code := wsproto.CloseCode(number)
	switch {
	case err != nil:
	case code == wsproto.CloseNormal, code == wsproto.ClosePolicy, code >= 3000 && code.Valid():
		return code, nil
	}
	return 0, errControlCode
}

func readReason(value string) (string, error) {
	if value[0] != '"' {
		return "", errControlReason
	}
	var reason string
	if err := json.Unmarshal([]byte(value), &reason); err != nil || len(reason) > maxCloseReason {
		return "", errControlReason
	}
	return reason, nil
}
