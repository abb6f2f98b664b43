// Package retryafter reads the header in which a server says when to try again.
package retryafter

import (
	"net/http"
	"strconv"
	"time"
)

// Wait returns how long a Retry-After asks to wait, seen at a time: seconds, or a date (RFC 9110 section 10.2.3), and also a fraction of
// seconds, which Discord gives. It is most at most, and 0 where the header asks for nothing, or can't be read.
func Wait(header string, now time.Time, most time.Duration) time.Duration {
	if seconds, err := strconv.ParseFloat(header, 64); err == nil {
		if seconds > 0 { // which NaN is not
			return time.Duration(min(seconds, most.Seconds()) * float64(time.Second))
		}
		return 0
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(0, at.Sub(now)), most)
	}
	return 0
}
