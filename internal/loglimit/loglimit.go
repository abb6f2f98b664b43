// Package loglimit bounds how often one kind of log line is written, and counts the lines that are left out, so that the
// next line can name their number. Clients and backends cause many lines faster than anybody reads them; what the lines
// tell of is counted in metrics anyway.
package loglimit

import (
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Limit bounds one kind of line. Make it with New. Any goroutine.
type Limit struct {
	rate    *rate.Limiter
	leftOut atomic.Uint64
}

// New allows burst lines at once, and then one line in every.
func New(every time.Duration, burst int) *Limit {
	return &Limit{rate: rate.NewLimiter(rate.Every(every), burst)}
}

// Allow reports whether a line may be written, and how many were left out since the last one that was.
func (l *Limit) Allow() (leftOut uint64, ok bool) {
	if !l.rate.Allow() {
		l.leftOut.Add(1)
		return 0, false
	}
	return l.leftOut.Swap(0), true
}
