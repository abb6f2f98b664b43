package redisfeed

import (
	"math/rand/v2"
	"time"
)

// firstPause passes between the second attempt and the third; the first follows a loss at once. A Redis that is started
// again by its supervisor is back within some tens of milliseconds.
const firstPause = 50 * time.Millisecond

// retry decides when to connect again and when to give up. It is a plain value of one goroutine: time is an argument,
// nothing in it waits.
//
// Pauses are doubled from firstPause to delay. Each is shortened by up to a half, by chance, so that many instances that
// lost the same Redis do not come back in step. A link that breaks before it is as old as delay is a flap: the first
// brings an attempt at once, as for any loss; from the second in a row on the pauses grow as after failures.
//
// It gives up after an outage that lasted max times delay. Not counted are failures that are this host's own (see
// redisnet.LocalShortage), and time in which nothing was tried because the process stood still.
type retry struct {
	// Static.

	max    int            // in delays: how long an outage may last; 0 is no limit
	delay  time.Duration  // between two attempts at most
	longer time.Duration  // than a pause: what one attempt may take
	chance func() float64 // from 0 to below 1

	failures int           // attempts that failed since a link was last up
	flaps    int           // links in a row that were younger than delay when they broke
	spent    time.Duration // on the outage, as far as it counts
	counted  time.Time     // up to when it has been counted
	began    time.Time     // of the outage, or of the first attempt
	upSince  time.Time     // of the latest link
	lostAt   time.Time     // of the latest link; zero before the first loss
	outage   time.Time     // when the latest link was lost that was no flap; zero before the first loss
}

func newRetry(cfg Config) retry {
	return retry{max: cfg.MaxAttempts, delay: cfg.RetryDelay, longer: cfg.HeartbeatTimeout, chance: rand.Float64}
}

// begin is called before the first attempt.
func (r *retry) begin(now time.Time) { r.counted, r.began = now, now }

// connected forgets the failures. It returns how long there was no link: since the last one was lost, or 0 for the
// first.
func (r *retry) connected(now time.Time) (gone time.Duration) {
	if !r.lostAt.IsZero() {
		gone = now.Sub(r.lostAt)
	}
	r.failures, r.spent = 0, 0
	r.upSince = now
	return gone
}

// lost notes that a link which was up has ended, and returns how long to wait before the first attempt.
func (r *retry) lost(now time.Time) (wait time.Duration) {
	if now.Sub(r.upSince) < r.delay {
		r.flaps++
	} else {
		r.flaps = 0
	}
	if r.flaps == 0 || r.outage.IsZero() {
		r.outage = now
	}
	r.lostAt, r.counted, r.began = now, now, now
	return r.pause(r.flaps - 1)
}

// failed counts an attempt that brought no link; ours says that the cause was this host's. It returns how long to wait before
// the next, or more = false when the outage has lasted for too long.
func (r *retry) failed(now time.Time, ours bool) (wait time.Duration, more bool) {
	r.failures++
	if !ours {
		r.spent += min(now.Sub(r.counted), r.delay+r.longer)
	}
	r.counted = now
	wait = r.pause(r.failures)
	if r.max == 0 {
		return wait, true
	}
	left := r.patience() - r.spent
	if left <= 0 && !ours {
		return 0, false
	}
	if left > 0 {
		wait = min(wait, left) // the last attempt is when the time is over
	}
	return wait, true
}

// patience is how long an outage may last; 0 is for ever.
func (r *retry) patience() time.Duration { return time.Duration(r.max) * r.delay }

// pause is how long to wait after n failures.
func (r *retry) pause(n int) time.Duration {
	if n <= 0 {
		return 0
	}
	longest := r.delay
	if doubled := n - 1; doubled < 20 {
		longest = min(longest, firstPause<<doubled)
	}
	return longest - time.Duration(r.chance()*float64(longest)/2)
}
