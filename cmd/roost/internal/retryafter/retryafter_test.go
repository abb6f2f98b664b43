package retryafter

import (
	"testing"
	"time"
)

func TestWait(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const most = 5 * time.Minute
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, "-1": 0, "soon": 0, "NaN": 0, "-Inf": 0, "7 s": 0,
		"7": 7 * time.Second, "1.5": 1500 * time.Millisecond, "0.25": 250 * time.Millisecond,
		"300": most, "301": most, "1e9": most, "99999999999999999999": most, "+Inf": most,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Fri, 02 Jan 2026 03:00:00 GMT": 0, "Sat, 03 Jan 2026 03:00:00 GMT": most,
		"Friday, 02-Jan-26 03:05:05 GMT": time.Minute, "Fri Jan  2 03:05:05 2026": time.Minute, // the older forms
	} {
		if got := Wait(header, now, most); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}
