package roosttest

import "time"

// Gap is a notice to a client that it may have missed what was published since a time: the zero time is any.
type Gap struct {
	Since time.Time
	Told  time.Time // when the client got it
}

// Covers reports whether the gap tells of what Redis took between two moments.
func (g Gap) Covers(begun, done time.Time) bool { return !done.Before(g.Since) && begun.Before(g.Told) }
