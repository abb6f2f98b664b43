package hub

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"roost/internal/jsonscan"
	"roost/internal/position"
	"roost/wsproto"
)

// envelope is a notification's two members as they were published: raw JSON,
// byte for byte, so that number precision, key order and escapes survive.
type envelope struct {
	kind    string // the value of "type", quotes included
	payload string // the value of "payload"

	options *options // nil: it says nothing more
	wrong   Invalid  // what is wrong with these
}

// parseEnvelope finds "type" and "payload" in what a backend published and
// checks that all of it is JSON in valid UTF-8 (a browser drops a connection
// that brings it a text frame with anything else), in one walk. Other members than these and the options
// are left out; a missing payload is null; of members with the same name the
// last one counts.
func parseEnvelope(published string) (envelope, Invalid) {
	if !utf8.ValidString(published) {
		return envelope{}, InvalidUTF8
	}
	start := jsonscan.SkipSpace(published, 0)
	isObject := jsonscan.At(published, start) == '{'
	e, end := envelope{payload: "null"}, 0
	if isObject {
		end = e.fill(published, start)
	} else {
		end = jsonscan.SkipValue(published, start, 0)
	}
	switch {
	case jsonscan.SkipSpace(published, end) != len(published):
		return envelope{}, InvalidJSON
	case !isObject:
		return envelope{}, InvalidShape
	case e.kind == "":
		return envelope{}, InvalidTypeMissing
	case e.kind[0] != '"':
		return envelope{}, InvalidTypeNotString
	case e.wrong != invalidNone:
		return envelope{}, e.wrong
	}
	return e, invalidNone
}

// fill takes the members out of the object that opens at s[i], and returns the
// index behind it, or jsonscan.Bad.
func (e *envelope) fill(s string, i int) (end int) {
	i, more := jsonscan.FirstMember(s, i)
	for more {
		nameEnd, value, end := jsonscan.SkipMember(s, i, 1)
		if end == jsonscan.Bad {
			return jsonscan.Bad
		}
		switch name := jsonscan.Unescaped(s[i:nameEnd]); name {
		case `"type"`:
			e.kind = s[value:end]
		case `"payload"`:
			e.payload = s[value:end]
		default:
			e.option(name, s[value:end])
		}
		i, more = jsonscan.NextMember(s, end)
	}
	return i
}

// reserved reports whether the type is one that clients take as Roost's own word, such as "_gap". It is also reserved
// where JSON writes the first character as an escape.
func (e envelope) reserved() bool {
	const underscore = `"\u005f`
	return e.kind[1] == '_' || len(e.kind) > len(underscore) && strings.EqualFold(e.kind[:len(underscore)], underscore)
}

// frame builds the WebSocket frame of the envelope that clients get, in one
// piece of memory. Unless id is zero it is the last member. The capacity is all that the allocator gives for it, so that who
// keeps it can count that.
func (e envelope) frame(at stamp, id position.Position) []byte {
	const (
		beforeType    = `{"type":`
		beforePayload = `,"payload":`
		beforeTime    = `,"timestamp":"`
		beforeTrace   = `","traceparent":"`
		beforeID      = `","id":"`
		end           = `"}`
	)
	size := len(beforeType) + len(e.kind) + len(beforePayload) + len(e.payload) +
		len(beforeTime) + len(at) + len(end)
	if !id.IsZero() {
		size += len(beforeID) + position.Size
	}
	traceparent := ""
	if e.options != nil && e.options.traceparent != "" {
		traceparent = e.options.traceparent
		size += len(beforeTrace) + len(traceparent)
	}
	frame := slices.Grow([]byte(nil), wsproto.TextHeaderSize(size)+size)
	frame = wsproto.AppendTextHeader(frame, size)
	frame = append(frame, beforeType...)
	frame = append(frame, e.kind...)
	frame = append(frame, beforePayload...)
	frame = append(frame, e.payload...)
	frame = append(frame, beforeTime...)
	frame = append(frame, at[:]...)
	if traceparent != "" {
		frame = append(append(frame, beforeTrace...), traceparent...)
	}
	if !id.IsZero() {
		frame = append(frame, beforeID...)
		frame = id.Append(frame)
	}
	return append(frame, end...)
}

// markPartial returns a frame whose id, the last member, is that of a connection with partial positions.
func markPartial(frame []byte) []byte {
	marked := slices.Grow([]byte(nil), len(frame))
	marked = append(marked, frame...)
	marked[len(marked)-len(`"}`)-1] = position.PartialEnd
	return marked
}

// Check says what is wrong with a notification that is about to be published,
// or nil: for tools that publish, so that whoever types one hears at once.
func Check(published string) error {
	e, problem := parseEnvelope(published)
	if form, ok := optionForms[problem]; ok {
		return fmt.Errorf("not a notification (%s): %s", problem, form)
	}
	if problem != invalidNone {
		return fmt.Errorf(`not a notification (%s): it has to be JSON like {"type":"greeting","payload":{"text":"hello"}}`, problem)
	}
	switch kind := jsonscan.Unescaped(e.kind); {
	case e.reserved():
		return fmt.Errorf(`the type %s is reserved (%s): types that begin with "_" are Roost's own, and servers skip them; choose another`,
			kind, InvalidTypeReserved)
	case kind == `"ping"`, kind == `"pong"`:
		return fmt.Errorf(`the type %s is reserved: clients and Roost say "ping" and "pong" to each other, and client/roost.js drops them; choose another`, kind)
	}
	return nil
}

// CheckSize says that a notification is too big for a server whose
// Limits.MaxNotification is limit, or nil.
func CheckSize(published string, limit int) error {
	if limit <= 0 || len(published) <= limit {
		return nil
	}
	return fmt.Errorf("notification is too big (%s): it has %d bytes, and may have %d", InvalidTooBig, len(published), limit)
}

// timestampLayout is RFC 3339 in UTC with milliseconds; of it, toTheSecond is
// what a second's timestamps have in common.
const (
	timestampLayout = toTheSecond + "000Z"
	toTheSecond     = "2006-01-02T15:04:05."
)

// stamp is a timestamp as the envelope carries it.
type stamp [len(timestampLayout)]byte

// stamper makes timestamps. To format a date takes longer than anything else in
// a delivery, so it is done once a second. Any goroutine.
type stamper struct {
	last atomic.Pointer[second]
}

// second is what the timestamps of one second begin with. It does not change.
type second struct {
	unix int64
	text string
}

func (s *stamper) stamp(now time.Time) (text stamp) {
	last := s.last.Load()
	if last == nil || last.unix != now.Unix() {
		last = &second{now.Unix(), now.UTC().Format(toTheSecond)}
		s.last.Store(last)
	}
	copy(text[:], last.text)
	ms := now.Nanosecond() / int(time.Millisecond)
	digits := text[len(toTheSecond):]
	digits[0], digits[1], digits[2], digits[3] = '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10), 'Z'
	return text
}
