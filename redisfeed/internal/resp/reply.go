package resp

import (
	"errors"
	"fmt"
	"unsafe"
)

// Kind is what a reply is.
type Kind uint8

// The kinds of replies.
const (
	Message      Kind = iota + 1 // something published: message, pmessage or smessage
	Subscribe                    // the confirmation of a command, as are the next five
	PSubscribe                   //
	SSubscribe                   //
	Unsubscribe                  // these three also come by themselves, when Redis ends a subscription
	PUnsubscribe                 //
	SUnsubscribe                 //
	Pong                         // the answer to PING
	Status                       // +OK
	Error                        // the refusal of a command
)

// String is the word of the protocol.
func (k Kind) String() string {
	names := [...]string{
		Message: "message", Subscribe: "subscribe", PSubscribe: "psubscribe", SSubscribe: "ssubscribe",
		Unsubscribe: "unsubscribe", PUnsubscribe: "punsubscribe", SUnsubscribe: "sunsubscribe",
		Pong: "pong", Status: "status", Error: "error",
	}
	if int(k) < len(names) && names[k] != "" {
		return names[k]
	}
	return fmt.Sprintf("kind %d", k)
}

// Reply is one thing that Redis sent. Its bytes are valid until the input that they lie in changes.
type Reply struct {
	Kind    Kind
	Channel []byte // or pattern; nil for Pong, Status and Error, and where Redis names none
	Payload []byte // of Message and Pong; the text of Status and Error

	both []byte // from the first byte of Channel to the last of Payload, of a Message
	own  bool   // nothing else has the memory of both
}

// Strings returns the channel and the payload of a Message, copied in one allocation. The payload of a very long one is no copy:
// of a hundred megabytes there are no more than were read.
func (r Reply) Strings() (channel, payload string) {
	if r.own {
		return string(r.Channel), unsafe.String(unsafe.SliceData(r.Payload), len(r.Payload))
	}
	both := string(r.both)
	return both[:len(r.Channel)], both[len(both)-len(r.Payload):]
}

// MaxBulk is the longest string that is taken, in bytes: twice what Redis takes from who publishes, unless its
// proto-max-bulk-len is raised.
const MaxBulk = 1 << 30

// maxLine bounds Status and Error, in bytes.
const maxLine = 64 << 10

// ErrTooLong marks a string longer than MaxBulk, or a line longer than Redis sends.
var ErrTooLong = errors.New("longer than redis sends")

// SyntaxError is input that is not RESP2, or nothing that a subscriber is sent.
type SyntaxError struct {
	Input string // the first bytes of it
	cause error
}

func (e *SyntaxError) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("not a reply to a subscriber, %v: %q", e.cause, e.Input)
	}
	return fmt.Sprintf("not a reply to a subscriber: %q", e.Input)
}

func (e *SyntaxError) Unwrap() error { return e.cause }

// errSyntax stands for a SyntaxError until Parse makes one.
var errSyntax = errors.New("syntax")

// Parse reads the reply that b begins with. n is its length. If n is more than len(b), the reply is incomplete and at least
// n bytes long. An error is a *SyntaxError.
func Parse(b []byte) (r Reply, n int, err error) {
	if len(b) == 0 {
		return r, 1, nil
	}
	switch b[0] {
	case '*':
		n, err = parseArray(b, &r)
	case '$': // the answer to PING of a connection without subscriptions
		r.Kind = Pong
		r.Payload, n, err = bulk(b, 0)
	case '+':
		r.Kind = Status
		r.Payload, n, err = line(b)
	case '-':
		r.Kind = Error
		r.Payload, n, err = line(b)
	default:
		err = errSyntax
	}
	if err != nil {
		return Reply{}, 0, syntaxError(b, err)
	}
	return r, n, nil
}

func syntaxError(b []byte, err error) *SyntaxError {
	e := &SyntaxError{Input: string(b[:min(len(b), 60)])}
	if !errors.Is(err, errSyntax) {
		e.cause = err
	}
	return e
}

// parseArray reads a push: its kind, a channel, and what the kind has more.
func parseArray(b []byte, r *Reply) (n int, err error) {
	count, at, err := number(b, 1)
	if err != nil || at > len(b) {
		return at, err
	}
	if count < 2 || count > 4 {
		return 0, errSyntax
	}
	word, at, err := bulk(b, at)
	if err != nil || at > len(b) {
		return at, err
	}
	kind, wants := kindOf(word)
	if count != wants {
		return 0, errSyntax
	}
	switch r.Kind = kind; {
	case kind == Pong:
		r.Payload, at, err = bulk(b, at)
		return at, err
	case kind != Message:
		return parseConfirmation(b, at, r)
	}
	if count == 4 { // pmessage has the pattern first
		if _, at, err = bulk(b, at); err != nil || at > len(b) {
			return at, err
		}
	}
	return parseMessage(b, at, r)
}

// parseMessage reads the channel and the payload.
func parseMessage(b []byte, at int, r *Reply) (n int, err error) {
	channel, at, err := bulk(b, at)
	if err != nil || at > len(b) {
		return at, err
	}
	from := at - len(channel) - 2
	payload, at, err := bulk(b, at)
	if err != nil || at > len(b) {
		return at, err
	}
	r.Channel, r.Payload, r.both = channel, payload, b[from:at-2]
	return at, nil
}

// parseConfirmation reads the channel and the number of subscriptions, which is of no use.
func parseConfirmation(b []byte, at int, r *Reply) (n int, err error) {
	const null = "$-1\r\n" // there was no subscription to end
	rest := b[at:]
	begun := min(len(rest), len(null))
	if begun >= 2 && string(rest[:begun]) == null[:begun] {
		at += len(null)
	} else {
		r.Channel, at, err = bulk(b, at)
	}
	switch {
	case err != nil || at > len(b):
		return at, err
	case at == len(b):
		return at + 1, nil
	case b[at] != ':':
		return 0, errSyntax
	}
	_, at, err = number(b, at+1)
	return at, err
}

// kindOf reads the first element of an array, and says how many elements the array has to have.
func kindOf(word []byte) (kind Kind, elements int) {
	switch string(word) {
	case "message", "smessage":
		return Message, 3
	case "pmessage":
		return Message, 4
	case "subscribe":
		return Subscribe, 3
	case "psubscribe":
		return PSubscribe, 3
	case "ssubscribe":
		return SSubscribe, 3
	case "unsubscribe":
		return Unsubscribe, 3
	case "punsubscribe":
		return PUnsubscribe, 3
	case "sunsubscribe":
		return SUnsubscribe, 3
	case "pong":
		return Pong, 2
	}
	return 0, 0
}

// bulk reads the bulk string at b[at]. next is where the one after it begins; it is more than len(b) if this one is
// incomplete.
func bulk(b []byte, at int) (s []byte, next int, err error) {
	if at >= len(b) {
		return nil, at + 1, nil
	}
	if b[at] != '$' {
		return nil, 0, errSyntax
	}
	n, begin, err := number(b, at+1)
	if err != nil || begin > len(b) {
		return nil, begin, err
	}
	end := begin + n
	if end+2 > len(b) {
		return nil, end + 2, nil
	}
	if b[end] != '\r' || b[end+1] != '\n' {
		return nil, 0, errSyntax
	}
	return b[begin:end:end], end + 2, nil
}

// maxDigits is enough for MaxBulk and any number of subscriptions.
const maxDigits = 10

// number reads the digits at b[at] and the end of their line. next is as for bulk.
func number(b []byte, at int) (n, next int, err error) {
	i := at
	for ; i < len(b); i++ {
		digit := b[i] - '0'
		if digit > 9 {
			break
		}
		if n = n*10 + int(digit); i-at == maxDigits || n > MaxBulk {
			return 0, 0, ErrTooLong
		}
	}
	switch {
	case i == len(b):
		return 0, i + 2, nil
	case i == at || b[i] != '\r':
		return 0, 0, errSyntax
	case i+1 == len(b):
		return 0, i + 2, nil
	case b[i+1] != '\n':
		return 0, 0, errSyntax
	}
	return n, i + 2, nil
}

// line reads a Status or an Error.
func line(b []byte) (text []byte, n int, err error) {
	for i := 1; i < len(b); i++ {
		if b[i] != '\n' {
			continue
		}
		if b[i-1] != '\r' || i == 1 {
			return nil, 0, errSyntax
		}
		return b[1 : i-1 : i-1], i + 1, nil
	}
	if len(b) > maxLine {
		return nil, 0, ErrTooLong
	}
	return nil, len(b) + 1, nil
}
