// Package msglimit bounds how much each client sends (GCRA). Only those are in it who have
// sent more lately than a client of a server that only sends has reason to: one that
// answers pings never is.
package msglimit

import (
	"time"

	"roost/internal/shrinkmap"
)

// Limiter is the limit of many clients, each of which is a key. It belongs to one
// goroutine at a time. The zero value is ready.
type Limiter[K comparable] struct {
	whole       shrinkmap.Map[K, time.Duration] // when a client's allowance is whole again
	rate, burst int                             // by which whole was counted
}

// Allow counts one thing that a client has sent, and reports whether it was within rate a
// second, and burst at once: each thing moves the moment when the allowance is whole again
// by a rate's interval, and that may be a burst ahead.
//
// Counts made under another rate are dropped: under a higher one, with shorter intervals,
// they would be more than a burst.
func (l *Limiter[K]) Allow(client K, now time.Duration, rate, burst int) bool {
	if rate != l.rate || burst != l.burst {
		*l = Limiter[K]{rate: rate, burst: burst}
	}
	interval := time.Second / time.Duration(rate)
	whole := max(l.whole.Get(client), now) + interval
	l.whole.Put(client, whole)
	return whole-now <= interval*time.Duration(burst)
}

// Tidy forgets a client if its allowance is whole.
func (l *Limiter[K]) Tidy(client K, now time.Duration) {
	if whole, ok := l.whole.Find(client); ok && whole <= now {
		l.Forget(client)
	}
}

// Forget forgets a client.
func (l *Limiter[K]) Forget(client K) { l.whole.Delete(client) }

// Whole returns when a client's allowance is whole again; false if it is, and the client is not in it.
func (l *Limiter[K]) Whole(client K) (time.Duration, bool) { return l.whole.Find(client) }

// Restore enters a client with what Whole said of it elsewhere, by the same clock and under this rate and burst.
func (l *Limiter[K]) Restore(client K, whole time.Duration, rate, burst int) {
	if rate != l.rate || burst != l.burst {
		*l = Limiter[K]{rate: rate, burst: burst}
	}
	l.whole.Put(client, whole)
}

// Len returns how many clients are in it.
func (l *Limiter[K]) Len() int { return l.whole.Len() }
