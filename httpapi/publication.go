package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"roost/internal/jsonscan"
)

// Publication is one element of a request to /publish: a notification for a user, a group or everyone, or a command: to
// disconnect a user, or to change the groups of a user's connections. Exactly one of User, Group and Everyone is set, and
// either Notification, or Disconnect, or one or both of Join and Leave.
type Publication struct {
	User         string
	Group        string
	Everyone     bool
	Notification string // JSON, byte for byte as it came
	Disconnect   string // the value of "disconnect", JSON as it came; only with User
	Join, Leave  string // the values of "join" and "leave", JSON as it came; only with User
}

// Bounds on one request to /publish.
const (
	maxPublications = 1000
	maxPublishBody  = 1 << 20 // bytes
)

// bodyError is what is wrong with the body of a request to /publish.
type bodyError struct {
	index  int  // of the publication
	whole  bool // it is about the body, and no publication
	syntax bool // the body is not JSON
	many   bool // it has more than maxPublications
	err    error
}

func (e *bodyError) Error() string {
	if e.whole {
		return e.err.Error()
	}
	return fmt.Sprintf("publication %d: %s", e.index, e.err)
}

// publicationForm is what errors show.
const publicationForm = `{"user":"alice","notification":{"type":"greeting","payload":{"text":"hello"}}}`

// The faults of a publication.
var (
	errNotObject   = errors.New(`it has to be an object like ` + publicationForm)
	errNobody      = errors.New(`it has no recipient: "user", "group" or "everyone"`)
	errSeveral     = errors.New(`it has more than one of "user", "group" and "everyone"`)
	errNothing     = errors.New(`it has no "notification", "disconnect", "join" or "leave"`)
	errBoth        = errors.New(`it has more than one of "notification", "disconnect", and "join" or "leave": publish one after the other`)
	errCommands    = errors.New(`"disconnect", "join" and "leave" go with "user"`)
	errEveryone    = errors.New(`"everyone" has to be true`)
	errNoAudience  = errors.New("it has to be a string that is not empty")
	errBodyShape   = errors.New("the body has to be an object or an array of objects like " + publicationForm)
	errBodyEmpty   = errors.New("the array is empty: there is nothing to publish")
	errBodyUTF8    = errors.New("the body is not UTF-8")
	errBodyTooMany = fmt.Errorf("more than %d publications: send them in several requests", maxPublications)
	errTwiceJSON   = errors.New(`"notification" has to be the object, not a string with JSON in it`)
)

// readPublications reads a body: one publication, or an array of them.
func readPublications(body string) (all []Publication, wrong *bodyError) {
	start := jsonscan.SkipSpace(body, 0)
	switch {
	case !utf8.ValidString(body):
		return nil, &bodyError{whole: true, syntax: true, err: errBodyUTF8}
	case jsonscan.SkipSpace(body, jsonscan.SkipValue(body, start, 0)) != len(body):
		return nil, &bodyError{whole: true, syntax: true, err: syntaxError(body)}
	}
	switch body[start] {
	case '{':
		p, err := readPublication(body, start)
		if err != nil {
			return nil, &bodyError{err: err}
		}
		return []Publication{p}, nil
	case '[':
		return readArray(body, start)
	}
	return nil, &bodyError{whole: true, err: errBodyShape}
}

// syntaxError says where a body is not JSON.
func syntaxError(body string) error {
	var syntax *json.SyntaxError
	if errors.As(json.Unmarshal([]byte(body), new(json.RawMessage)), &syntax) {
		return fmt.Errorf("the body is not JSON: %w, at byte %d", syntax, syntax.Offset)
	}
	return errors.New("the body is not JSON")
}

// readArray reads the array that opens at s[i] and is known to be JSON.
func readArray(s string, i int) (all []Publication, wrong *bodyError) {
	for i = jsonscan.SkipSpace(s, i+1); s[i] != ']'; {
		if len(all) == maxPublications {
			return nil, &bodyError{whole: true, many: true, err: errBodyTooMany}
		}
		p, err := readPublication(s, i)
		if err != nil {
			return nil, &bodyError{index: len(all), err: err}
		}
		all = append(all, p)
		if i = jsonscan.SkipSpace(s, jsonscan.SkipValue(s, i, 1)); s[i] == ',' {
			i = jsonscan.SkipSpace(s, i+1)
		}
	}
	if len(all) == 0 {
		return nil, &bodyError{whole: true, err: errBodyEmpty}
	}
	return all, nil
}

// readPublication reads the value at s[i], which is known to be JSON.
func readPublication(s string, i int) (p Publication, err error) {
	if s[i] != '{' {
		return p, errNotObject
	}
	seen := make(map[string]bool, 2)
	i, more := jsonscan.FirstMember(s, i)
	for more {
		nameEnd, value, end := jsonscan.SkipMember(s, i, 1)
		name := jsonscan.Unescaped(s[i:nameEnd])
		if seen[name] {
			return p, fmt.Errorf("%s comes twice", name)
		}
		seen[name] = true
		if err := p.set(name, s[value:end]); err != nil {
			return p, err
		}
		i, more = jsonscan.NextMember(s, end)
	}
	return p, p.complete()
}

// set takes over a member. name has its quotes.
func (p *Publication) set(name, value string) error {
	switch name {
	case `"user"`:
		return setAudience(&p.User, name, value)
	case `"group"`:
		return setAudience(&p.Group, name, value)
	case `"everyone"`:
		if value != "true" {
			return errEveryone
		}
		p.Everyone = true
	case `"notification"`:
		if value[0] == '"' {
			return errTwiceJSON
		}
		p.Notification = value
	case `"disconnect"`:
		p.Disconnect = value
	case `"join"`:
		p.Join = value
	case `"leave"`:
		p.Leave = value
	default:
		return fmt.Errorf(`unknown member %.64s: "user", "group", "everyone", "notification", "disconnect", "join" and "leave" are known`, name)
	}
	return nil
}

// setAudience takes over the name of a user or a group.
func setAudience(to *string, name, value string) error {
	if value[0] != '"' || json.Unmarshal([]byte(value), to) != nil || *to == "" {
		return fmt.Errorf("%s: %w", name, errNoAudience)
	}
	return nil
}

// complete says what is missing, or too much.
func (p *Publication) complete() error {
	audiences := count(p.User != "", p.Group != "", p.Everyone)
	things := count(p.Notification != "", p.Disconnect != "", p.Regroups())
	switch {
	case audiences == 0:
		return errNobody
	case audiences > 1:
		return errSeveral
	case things == 0:
		return errNothing
	case things > 1:
		return errBoth
	case p.Notification == "" && p.User == "":
		return errCommands
	}
	return nil
}

// Regroups reports whether it changes the groups of a user's connections.
func (p *Publication) Regroups() bool { return p.Join != "" || p.Leave != "" }

func count(conditions ...bool) (n int) {
	for _, is := range conditions {
		if is {
			n++
		}
	}
	return n
}

// kind is the label of the metric.
func (p *Publication) kind() string {
	switch {
	case p.Disconnect != "":
		return "disconnect"
	case p.Regroups():
		return "groups"
	case p.Everyone:
		return "everyone"
	case p.Group != "":
		return "group"
	}
	return "user"
}
