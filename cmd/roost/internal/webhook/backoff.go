package webhook

import (
	"math/rand/v2"
	"time"
)

const (
	// firstRetry bounds the wait after the first failure. Each further bound is twice as long, up to longestRetry.
	firstRetry   = time.Second
	longestRetry = 30 * time.Second
	// longestRetryAfter bounds for how long the endpoint can ask to be left alone.
	longestRetryAfter = 5 * time.Minute
)

// backoff is the wait after so many failures in a row: any time up to the bound (full jitter), so that instances whose endpoint
// was away do not come back together. A wait that the endpoint asks for comes first.
func backoff(failures int, retryAfter time.Duration) time.Duration {
	bound := longestRetry
	if shift := failures - 1; shift < 5 {
		bound = min(bound, firstRetry<<shift)
	}
	return retryAfter + rand.N(bound)
}
