package redisfeed

import (
	"testing"
	"time"
)

var noon = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

func never() float64 { return 0 } // shortens no pause

// run plays attempts that take no time and fail until the retry gives up. It returns when each was made.
func (r *retry) run(now time.Time) (at []time.Duration) {
	begin := now
	for {
		at = append(at, now.Sub(begin))
		wait, more := r.failed(now, false)
		if !more || len(at) == 1000 {
			return at
		}
		now = now.Add(wait)
	}
}

func TestRetryAttempts(t *testing.T) {
	t.Parallel()
	ms := func(all ...int) (d []time.Duration) {
		for _, n := range all {
			d = append(d, time.Duration(n)*time.Millisecond)
		}
		return d
	}
	tests := []struct {
		name  string
		max   int
		delay time.Duration
		want  []time.Duration
	}{
		{"the default", 10, 5 * time.Second,
			ms(0, 50, 150, 350, 750, 1550, 3150, 6350, 11350, 16350, 21350, 26350, 31350, 36350, 41350, 46350, 50000)},
		{"one", 1, 5 * time.Second, ms(0, 50, 150, 350, 750, 1550, 3150, 5000)},
		{"a delay shorter than the first pause", 3, 20 * time.Millisecond, ms(0, 20, 40, 60)},
		{"no delay", 3, 0, ms(0)},
	}
	for _, tt := range tests {
		r := retry{max: tt.max, delay: tt.delay, chance: never}
		r.begin(noon)
		r.connected(noon)
		lost := noon.Add(time.Hour)
		if wait := r.lost(lost); wait != 0 {
			t.Errorf("%s: the first attempt is %s after the loss", tt.name, wait)
		}
		got := r.run(lost)
		if len(got) != len(tt.want) {
			t.Errorf("%s: attempts at %v, want %v", tt.name, got, tt.want)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s: attempt %d at %s, want %s", tt.name, i, got[i], tt.want[i])
			}
		}
	}
}

// Before there was a link the outage begins with the first attempt.
func TestRetryGivesUpWithoutALink(t *testing.T) {
	t.Parallel()
	r := retry{max: 2, delay: time.Second, chance: never}
	r.begin(noon)
	if at := r.run(noon); at[len(at)-1] != 2*time.Second {
		t.Errorf("attempts at %v, want the last at 2s", at)
	}
}

func TestRetryForEver(t *testing.T) {
	t.Parallel()
	r := retry{delay: time.Second, chance: never}
	r.begin(noon)
	if at := r.run(noon); len(at) != 1000 || at[999]-at[998] != time.Second {
		t.Fatalf("%d attempts, the last at %v", len(at), at[len(at)-1])
	}
}

func TestRetryIsSpread(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		chance float64
		want   time.Duration
	}{{0, 200 * time.Millisecond}, {0.5, 150 * time.Millisecond}, {0.999, 100100 * time.Microsecond}} {
		r := retry{delay: 5 * time.Second, chance: func() float64 { return tt.chance }}
		if got := r.pause(3); got != tt.want {
			t.Errorf("chance %v: %s, want %s", tt.chance, got, tt.want)
		}
	}
}

func TestRetryCountsFromZeroOnceConnected(t *testing.T) {
	t.Parallel()
	r := retry{max: 2, delay: time.Second, chance: never}
	now := noon
	r.begin(now)
	for range 5 {
		now = now.Add(1500 * time.Millisecond)
		if _, more := r.failed(now, false); !more {
			t.Fatal("gave up although the link had come back")
		}
		r.connected(now)
		now = now.Add(time.Hour)
		r.lost(now)
	}
}

func TestRetrySaysHowLongTheLinkWasGone(t *testing.T) {
	t.Parallel()
	r := retry{delay: time.Second, chance: never}
	if gone := r.connected(noon); gone != 0 {
		t.Errorf("first link: gone %s", gone)
	}
	r.lost(noon.Add(time.Hour))
	r.failed(noon.Add(time.Hour), false)
	if gone := r.connected(noon.Add(time.Hour + 7*time.Second)); gone != 7*time.Second {
		t.Errorf("second link: gone %s, want 7s", gone)
	}
}

// Links that break soon are kept apart from the second one in a row on; one that lived begins the count again.
func TestRetryPacesFlaps(t *testing.T) {
	t.Parallel()
	r := retry{delay: 5 * time.Second, chance: never}
	now := noon
	for i, tt := range []struct{ lived, wait time.Duration }{
		{time.Hour, 0},
		{time.Second, 0}, // the first flap
		{time.Second, 50 * time.Millisecond},
		{0, 100 * time.Millisecond},
		{0, 200 * time.Millisecond},
		{5 * time.Second, 0},
		{4999 * time.Millisecond, 0},
		{0, 50 * time.Millisecond},
	} {
		r.connected(now)
		now = now.Add(tt.lived)
		if wait := r.lost(now); wait != tt.wait {
			t.Errorf("link %d, that lived %s: wait %s, want %s", i, tt.lived, wait, tt.wait)
		}
	}
	for range 100 {
		r.connected(now)
		if wait := r.lost(now); wait > r.delay {
			t.Fatalf("wait %s", wait)
		}
	}
}

// A shortage on this host is no reason to give Redis up, however long it lasts, and it does not lengthen the outages that count.
func TestRetryDoesNotCountWhatIsOurs(t *testing.T) {
	t.Parallel()
	r := retry{max: 2, delay: time.Second, longer: time.Second, chance: never}
	now := noon
	r.begin(now)
	fail := func(after time.Duration, ours bool) (more bool) {
		now = now.Add(after)
		_, more = r.failed(now, ours)
		return more
	}
	if !fail(1500*time.Millisecond, false) {
		t.Fatal("gave up too soon")
	}
	for range 100 {
		if !fail(time.Second, true) {
			t.Fatal("gave up for what is ours")
		}
	}
	if !fail(400*time.Millisecond, false) {
		t.Error("gave up after 1.9 s that count")
	}
	if fail(100*time.Millisecond, false) {
		t.Error("did not give up after 2 s that count")
	}
	if !fail(time.Second, true) {
		t.Error("gave up for what is ours, once the time was over")
	}
}

// A process that stood still did not try meanwhile.
func TestRetryDoesNotCountAPause(t *testing.T) {
	t.Parallel()
	r := retry{max: 10, delay: 5 * time.Second, longer: 8 * time.Second, chance: never}
	r.begin(noon)
	if _, more := r.failed(noon.Add(time.Hour), false); !more || r.spent != 13*time.Second {
		t.Errorf("more %t, %s are counted", more, r.spent)
	}
}

// An outage goes on through links that break at once.
func TestRetrySaysWhenTheOutageBegan(t *testing.T) {
	t.Parallel()
	r := retry{delay: 5 * time.Second, chance: never}
	if !r.outage.IsZero() {
		t.Error("there was none yet")
	}
	now := noon
	for i, tt := range []struct {
		lived time.Duration
		same  bool
	}{{time.Second, false}, {time.Second, true}, {time.Hour, false}, {time.Second, true}, {0, true}, {5 * time.Second, false}} {
		before := r.outage
		r.connected(now)
		now = now.Add(tt.lived)
		r.lost(now)
		if same := r.outage.Equal(before); same != tt.same || !same && !r.outage.Equal(now) {
			t.Errorf("loss %d: the outage began at %s, it is %s", i, r.outage, now)
		}
		now = now.Add(time.Minute)
	}
}
