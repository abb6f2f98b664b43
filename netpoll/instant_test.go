package netpoll

import (
	"testing"
	"time"
)

func TestInstant(t *testing.T) {
	t.Parallel()
	const round = time.Duration(1<<32) * time.Millisecond
	for _, now := range []time.Duration{time.Second, time.Hour, round - 1, round, round + time.Second, 20*round + time.Hour} {
		for _, ago := range []time.Duration{0, time.Millisecond, time.Minute, longestWait} {
			if got := instantOf(now - ago).ago(now); got < ago || got > ago+time.Millisecond {
				t.Errorf("at %s, %s ago: %s", now, ago, got)
			}
		}
	}
}
