package redisfeed

import (
	"testing"
	"time"
)

var noon = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

func TestRetryGivesUpAfterTheLastAttempt(t *testing.T) {
	t.Parallel()
	r := retry{max: 3, delay: 5 * time.Second}
	for attempt := 1; attempt <= 2; attempt++ {
		if wait, more := r.failed(); !more || wait != 5*time.Second {
			t.Fatalf("attempt %d: wait %s, more %t", attempt, wait, more)
		}
	}
	if _, more := r.failed(); more {
		t.Fatal("a fourth attempt after three failed ones")
	}
}

func TestRetryForEver(t *testing.T) {
	t.Parallel()
	r := retry{delay: time.Second}
	for range 1000 {
		if wait, more := r.failed(); !more || wait != time.Second {
			t.Fatalf("after %d failures: wait %s, more %t", r.failures, wait, more)
		}
	}
}

func TestRetryCountsFromZeroOnceConnected(t *testing.T) {
	t.Parallel()
	r := retry{max: 2, delay: time.Second}
	for range 5 {
		if _, more := r.failed(); !more {
			t.Fatal("gave up although the link had come back")
		}
		r.connected(noon)
	}
}

func TestRetrySaysHowLongTheLinkWasGone(t *testing.T) {
	t.Parallel()
	r := retry{delay: time.Second}
	if gone := r.connected(noon); gone != 0 {
		t.Errorf("first link: gone %s", gone)
	}
	r.lost(noon.Add(time.Hour))
	r.failed()
	if gone := r.connected(noon.Add(time.Hour + 7*time.Second)); gone != 7*time.Second {
		t.Errorf("second link: gone %s, want 7s", gone)
	}
}

func TestRetryKeepsLinksApart(t *testing.T) {
	t.Parallel()
	tests := []struct{ lived, wait time.Duration }{
		{0, 5 * time.Second},
		{2 * time.Second, 3 * time.Second},
		{5 * time.Second, 0},
		{24 * time.Hour, 0},
	}
	for _, tt := range tests {
		r := retry{delay: 5 * time.Second}
		r.connected(noon)
		if wait := r.lost(noon.Add(tt.lived)); wait != tt.wait {
			t.Errorf("a link that lived %s: wait %s, want %s", tt.lived, wait, tt.wait)
		}
	}
}
