package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"roost/internal/jsonscan"
	"roost/internal/names"
	"roost/wsproto"
)

// CheckControl says all that is wrong with a command that is about to be published, or nil: for tools that publish.
func CheckControl(published string) error {
	command, err := parseCommand(published)
	return errors.Join(append(command.faults, err)...)
}

// The defaults of a disconnect command, also for a member that is wrong.
const (
	DefaultDisconnectCode   wsproto.CloseCode = 4403
	DefaultDisconnectReason                   = "disconnected"
)

// maxCloseReason is, in bytes, what a close frame has room for behind its code (RFC 6455 section 5.5).
const maxCloseReason = 123

// Why there is no command in a message. These texts and the next show nothing of it: they are logged.
var (
	errCommandUser  = errors.New("its channel's name ends with what is no user id")
	errCommandEmpty = errors.New("empty")
	errCommandNone  = errors.New(`no member "disconnect", "join" or "leave"`)
	errCommandFalse = errors.New(`"disconnect" is false`)
	errCommandText  = errors.New("not JSON, and without the word disconnect")
	errCommandGroup = errors.New(`"join" and "leave" name no group: they have to be lists of names`)
)

// Faults of a command that is done all the same. A wrong code or reason is replaced by the default, a
// long reason is cut at a character, and of members that come twice the last one counts.
var (
	errFaultBOM      = errors.New("a byte order mark before it")
	errFaultUTF8     = errors.New("bytes that are not UTF-8")
	errFaultJSON     = errors.New("not JSON")
	errFaultTrailing = errors.New("something behind the JSON")
	errFaultEncoded  = errors.New("a JSON string with the command in it: it was encoded twice")
	errFaultCase     = errors.New("a member's name is not in lower case")
	errFaultMember   = errors.New(`a member that is none of "disconnect" with "code" and "reason", or "join" and "leave"`)
	errFaultTwice    = errors.New("a member comes twice")
	errFaultObject   = errors.New(`"disconnect" is not an object`)
	errFaultCode     = errors.New(`"code" is not an integer that is 1000, 1008 or from 3000 to 4999`)
	errFaultReason   = errors.New(`"reason" is not a string`)
	errFaultLong     = errors.New(`"reason" has more than 123 bytes`)
	errFaultBoth     = errors.New(`"join" or "leave" beside "disconnect"`)
	errFaultGroups   = errors.New(`"join" or "leave" is not a list of names`)
	errFaultGroup    = errors.New("the name of a group is not 1 to 255 bytes of UTF-8 without control characters")
	errFaultMany     = fmt.Errorf(`"join" or "leave" names more than %d groups`, names.MaxGroups)
)

// command closes all connections of a user, or changes their groups.
type command struct {
	disconnects bool
	code        wsproto.CloseCode
	reason      string

	join, leave []string // none twice

	faults []error // each once
}

func (c *command) fault(err error) {
	if !slices.Contains(c.faults, err) {
		c.faults = append(c.faults, err)
	}
}

// parseCommand reads a command, or says why the text is not a command. Faults that depend on what a backend puts into a
// command (a reason that is too long, or with a quote in it where the JSON was glued together) must not leave somebody
// connected who is to be cut off; so a message that is not JSON is a disconnect command if it has the word disconnect in it. An object
// without a member of a command is not one: another command, of a later version, or a notification on the wrong channel.
func parseCommand(s string) (command, error) {
	c := command{code: DefaultDisconnectCode, reason: DefaultDisconnectReason}
	if cut, found := strings.CutPrefix(s, "\ufeff"); found {
		s = cut
		c.fault(errFaultBOM)
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
		c.fault(errFaultUTF8)
	}
	return c, c.read(s, true)
}

// read reads a command in valid UTF-8. encoded says that it may be in a JSON string.
func (c *command) read(s string, encoded bool) error {
	start := jsonscan.SkipSpace(s, 0)
	end := jsonscan.SkipValue(s, start, 0)
	switch {
	case start == len(s):
		return errCommandEmpty
	case end > len(s):
		c.fault(errFaultJSON)
		return c.readText(s)
	case jsonscan.SkipSpace(s, end) != len(s):
		c.fault(errFaultTrailing)
	}
	if s[start] == '{' {
		return c.readObject(s, start)
	}
	if text := jsonscan.Unescaped(s[start:end]); s[start] == '"' && encoded {
		c.fault(errFaultEncoded)
		return c.read(text[1:len(text)-1], false)
	}
	c.fault(errFaultObject)
	return c.readText(s[start:end])
}

// readObject reads the object that opens at s[i] and is known to be JSON, so that the walk can't fail.
func (c *command) readObject(s string, i int) error {
	value := 0 // where that of "disconnect" begins
	var joins, leaves string
	i, more := jsonscan.FirstMember(s, i)
	for more {
		nameEnd, start, end := jsonscan.SkipMember(s, i, 1)
		again := false
		switch name := s[i:nameEnd]; {
		case c.member(name, "disconnect"):
			again, value = value > 0, start
		case c.member(name, "join"):
			again, joins = joins != "", s[start:end]
		case c.member(name, "leave"):
			again, leaves = leaves != "", s[start:end]
		default:
			c.fault(errFaultMember)
		}
		if again {
			c.fault(errFaultTwice)
		}
		i, more = jsonscan.NextMember(s, end)
	}
	if value == 0 {
		return c.readGroups(joins, leaves)
	}
	c.disconnects = true
	if joins != "" || leaves != "" {
		c.fault(errFaultBoth)
	}
	switch s[value] {
	case 'f':
		return errCommandFalse
	case '{':
		c.readMembers(s, value)
	default:
		c.fault(errFaultObject)
	}
	return nil
}

// readGroups reads the values of "join" and "leave", "" for one that is not there. Names that no group can have are left out:
// nobody is in such a group.
func (c *command) readGroups(joins, leaves string) error {
	if joins == "" && leaves == "" {
		return errCommandNone
	}
	var joinsOK, leavesOK bool
	c.join, joinsOK = c.readNames(joins)
	c.leave, leavesOK = c.readNames(leaves)
	if !joinsOK && !leavesOK {
		return errCommandGroup
	}
	return nil
}

// readNames reads a list of names of groups, which is a string if it has only one. ok is false for anything else.
func (c *command) readNames(list string) (groups []string, ok bool) {
	if list == "" {
		return nil, false
	}
	var all []any
	if json.Unmarshal([]byte(list), &all) != nil {
		all = nil
	}
	if list[0] == '"' {
		all = []any{jsonString(list)}
	}
	if list[0] != '"' && list[0] != '[' {
		c.fault(errFaultGroups)
		return nil, false
	}
	for _, one := range all {
		name, isString := one.(string)
		switch {
		case !isString:
			c.fault(errFaultGroups)
		case !names.ValidGroup(name):
			c.fault(errFaultGroup)
		case slices.Contains(groups, name):
		case len(groups) == names.MaxGroups:
			c.fault(errFaultMany)
			return groups, true
		default:
			groups = append(groups, name)
		}
	}
	return groups, len(groups) > 0 || len(all) == 0
}

// jsonString is the value of a JSON string.
func jsonString(quoted string) (s string) {
	_ = json.Unmarshal([]byte(quoted), &s) // it is known to be JSON
	return s
}

// readMembers reads the value of "disconnect", an object that opens at s[i].
func (c *command) readMembers(s string, i int) {
	var hasCode, hasReason bool
	i, more := jsonscan.FirstMember(s, i)
	for more {
		nameEnd, value, end := jsonscan.SkipMember(s, i, 2)
		again := false
		switch name := s[i:nameEnd]; {
		case c.member(name, "code"):
			again, hasCode = hasCode, true
			c.readCode(s[value:end])
		case c.member(name, "reason"):
			again, hasReason = hasReason, true
			c.readReason(s[value:end])
		default:
			c.fault(errFaultMember)
		}
		if again {
			c.fault(errFaultTwice)
		}
		i, more = jsonscan.NextMember(s, end)
	}
}

// member reports whether a quoted name is this one. Many languages write the names of fields with a capital.
func (c *command) member(quoted, name string) bool {
	text := jsonscan.Unescaped(quoted)
	text = text[1 : len(text)-1]
	if text != name && strings.EqualFold(text, name) {
		c.fault(errFaultCase)
		return true
	}
	return text == name
}

// readCode reads a close code that an application may send: those that say how the protocol went are the server's, and
// 1005 and 1006 may not be on the wire at all (RFC 6455 section 7.4.1).
func (c *command) readCode(value string) {
	number, err := strconv.ParseUint(value, 10, 16)
	code := wsproto.CloseCode(number)
	if err == nil && (code == wsproto.CloseNormal || code == wsproto.ClosePolicy || code >= 3000 && code.Valid()) {
		c.code = code
		return
	}
	c.code = DefaultDisconnectCode
	c.fault(errFaultCode)
}

func (c *command) readReason(value string) {
	var reason string
	if value[0] != '"' || json.Unmarshal([]byte(value), &reason) != nil {
		c.reason = DefaultDisconnectReason
		c.fault(errFaultReason)
		return
	}
	if len(reason) > maxCloseReason {
		end := maxCloseReason
		for !utf8.RuneStart(reason[end]) {
			end--
		}
		reason = reason[:end]
		c.fault(errFaultLong)
	}
	c.reason = reason
}

// readText takes a text that is no command as it should be for a disconnect if it has the word in it, near its beginning: a
// payload can be as long as Redis lets it.
func (c *command) readText(s string) error {
	const near = 4096
	if strings.Contains(strings.ToLower(s[:min(len(s), near)]), "disconnect") {
		c.disconnects = true
		return nil
	}
	return errCommandText
}
