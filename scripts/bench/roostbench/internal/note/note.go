package note

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Note is one notification.
type Note struct {
	User int    // number of the user that it is for
	Seq  uint32 // its number among that user's notifications, from 1
	At   int64  // when it was published, see Clock
}

// Clock gives moments as nanoseconds since 1970 that never go back in one
// process, and are good to what the wall clock is between two.
type Clock struct{ start time.Time }

// NewClock starts a clock.
func NewClock() Clock { return Clock{start: time.Now()} }

// Now is this moment.
func (c Clock) Now() int64 { return c.start.UnixNano() + int64(time.Since(c.start)) }

const (
	before = `{"type":"bench","payload":{"bench":"`
	// mark is where the note begins, whatever a server makes of the JSON around it.
	mark = `"bench":"`
)

// AppendUser appends the name of user number n.
func AppendUser(dst []byte, n int) []byte {
	return strconv.AppendInt(append(dst, "bench-"...), int64(n), 10)
}

// Append appends the notification as a backend publishes it, with pad bytes of
// content beyond the note.
func (n Note) Append(dst []byte, pad int) []byte {
	dst = append(dst, before...)
	dst = strconv.AppendInt(dst, int64(n.User), 10)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, uint64(n.Seq), 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, n.At, 10)
	dst = append(dst, `","pad":"`...)
	for range pad {
		dst = append(dst, 'x')
	}
	return append(dst, `"}}`...)
}

// ErrNoNote is wrapped by Parse's errors.
var ErrNoNote = errors.New("a message without a note of ours")

// Parse finds the note in a message that came from the server.
func Parse(message []byte) (Note, error) {
	at := bytes.Index(message, []byte(mark))
	if at < 0 {
		return Note{}, fmt.Errorf("%w: %.100q", ErrNoNote, message)
	}
	user, rest, ok1 := number(message[at+len(mark):], ' ')
	seq, rest, ok2 := number(rest, ' ')
	moment, _, ok3 := number(rest, '"')
	if !ok1 || !ok2 || !ok3 || seq == 0 || seq > 1<<32-1 {
		return Note{}, fmt.Errorf("%w: %.100q", ErrNoNote, message)
	}
	return Note{User: int(user), Seq: uint32(seq), At: moment}, nil
}

// number reads digits up to end.
func number(in []byte, end byte) (value int64, rest []byte, ok bool) {
	for i, b := range in {
		if b == end {
			return value, in[i+1:], i > 0 && i < 20
		}
		if b < '0' || b > '9' {
			break
		}
		value = value*10 + int64(b-'0')
	}
	return 0, nil, false
}
