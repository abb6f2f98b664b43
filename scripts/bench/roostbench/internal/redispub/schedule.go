package redispub

import "time"

// schedule says when which notification is due.
type schedule struct {
	start time.Time
	rate  int           // a second
	batch time.Duration // 0: one burst at a time
	burst int
}

// at is when notification n (from 0) is due.
func (s *schedule) at(n int) time.Time {
	return s.start.Add(time.Duration(float64(n) / float64(s.rate) * 1e9))
}

// due is how many to send now, in one piece, when n have been sent: whole bursts.
func (s *schedule) due(n int, now time.Time) int {
	if now.Before(s.at(n)) {
		return 0
	}
	if s.batch == 0 {
		return s.burst
	}
	// Everything that falls due until the end of this batch's time has been
	// waited for.
	passed := int(now.Sub(s.start).Seconds()*float64(s.rate)) + 1
	whole := (passed - n + s.burst - 1) / s.burst * s.burst
	return min(whole, maxPiece/s.burst*s.burst+s.burst)
}

// maxPiece is about how many notifications go to Redis in one piece at most.
const maxPiece = 2_000

// next is how long to sleep when nothing is due.
func (s *schedule) next(n int, now time.Time) time.Duration {
	return max(s.at(n).Sub(now), s.batch)
}

// late is by how much notification n is late, beyond what batches bring.
func (s *schedule) late(n int, now time.Time) time.Duration {
	return max(now.Sub(s.at(n))-s.batch, 0)
}
