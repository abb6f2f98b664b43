package redispub

import (
	"errors"
	"fmt"
	"strconv"
)

// The commands that publish.
const (
	plain   = "PUBLISH"
	sharded = "SPUBLISH"
)

// appendPublish appends command channel message as Redis reads it.
func appendPublish(dst []byte, command string, channel, message []byte) []byte {
	dst = append(dst, "*3\r\n"...)
	dst = appendBulk(dst, command)
	dst = appendBulk(dst, channel)
	return appendBulk(dst, message)
}

func appendBulk[T string | []byte](dst []byte, text T) []byte {
	dst = append(dst, '$')
	dst = strconv.AppendInt(dst, int64(len(text)), 10)
	dst = append(dst, "\r\n"...)
	dst = append(dst, text...)
	return append(dst, "\r\n"...)
}

// errReply is wrapped by what Redis answers instead of a number.
var errReply = errors.New("redis does not answer with a number")

// replies counts the answers to PUBLISH, ":1\r\n" each, split anywhere.
type replies struct {
	count      int    // answers
	subscribed int    // answers of 1 and more: somebody was subscribed
	line       []byte // the incomplete one
}

func (r *replies) take(in []byte) error {
	for _, b := range in {
		if b != '\n' {
			r.line = append(r.line, b)
			continue
		}
		if len(r.line) < 3 || r.line[0] != ':' {
			return fmt.Errorf("%w: %q", errReply, r.line)
		}
		r.count++
		if r.line[1] != '0' {
			r.subscribed++
		}
		r.line = r.line[:0]
	}
	return nil
}
