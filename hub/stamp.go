package hub

import (
	"sync/atomic"
	"time"
)

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
