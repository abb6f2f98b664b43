package fairbucket

import (
	"math"
	"testing"
	"time"
)

// sim draws from a bucket, by a clock of its own.
type sim struct {
	*Bucket
	now time.Duration
}

// flood has sources draw in turn, so many times a second altogether, for a time,
// and returns what each got.
func (s *sim) flood(sources []uint64, rate int, d time.Duration) map[uint64]int {
	got := map[uint64]int{}
	step := time.Second / time.Duration(rate)
	for i := 0; d > 0; i++ {
		source := sources[i%len(sources)]
		if s.Take(source, s.now) {
			got[source]++
		}
		s.now += step
		d -= step
	}
	return got
}

func upTo(n int) (sources []uint64) {
	for i := range n {
		sources = append(sources, uint64(i))
	}
	return sources
}

// A source that is alone has all of the rate, and nearly all of the burst.
func TestAlone(t *testing.T) {
	t.Parallel()
	s := &sim{Bucket: New(100, 900, 8)}
	for i := range 800 {
		if !s.Take(1, 0) {
			t.Fatalf("token %d of 900 is not to be had, want 800", i)
		}
	}
	if s.Take(1, 0) {
		t.Error("all that was free is taken")
	}
	if n := s.flood([]uint64{1}, 10_000, 10*time.Second)[1]; n < 995 || n > 1005 {
		t.Errorf("%d tokens in 10 s, want 1000", n)
	}
	s.now += time.Hour
	if n := s.flood([]uint64{1}, 1_000_000, time.Millisecond)[1]; n < 800 || n > 801 {
		t.Errorf("%d at once after a rest, want 800", n)
	}
}

// The bound on all of them is the burst and the rate, however many they are.
func TestBound(t *testing.T) {
	t.Parallel()
	s := &sim{Bucket: New(100, 50, 1)}
	total := 0
	for i := range 10_000 {
		if s.Take(uint64(i), s.now) {
			total++
		}
		s.now += time.Millisecond
	}
	if total > 50+1000 || total < 1000 {
		t.Errorf("%d tokens in 10 s, want 1050 at most", total)
	}
}

// While some draw without end, a source that draws now and then gets every
// token, and the others share the rest equally.
func TestFloodTakesNothingFromOthers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		floods int
		share  float64
	}{"one": {1, 1}, "one, which may hold much": {1, 8}, "ten": {10, 8}, "hundred": {100, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &sim{Bucket: New(1000, 2000, tt.share)}
			floods := upTo(tt.floods)
			s.flood(floods, 20_000, 3*time.Second)
			refused, got := 0, map[uint64]int{}
			for honest := range 1000 { // one after the other, a hundred a second
				if !s.Take(uint64(1_000_000+honest), s.now) {
					refused++
				}
				for source, n := range s.flood(floods, 20_000, 10*time.Millisecond) {
					got[source] += n
				}
			}
			if refused > 0 {
				t.Errorf("%d of 1000 honest ones were refused", refused)
			}
			fair := 9000 / float64(tt.floods) // what the honest ones left in 10 s
			for source, n := range got {
				if math.Abs(float64(n)-fair) > fair/10+1 {
					t.Errorf("source %d of %d got %d, want %.0f", source, tt.floods, n, fair)
				}
			}
		})
	}
}

// Many who share an address, and draw no more than their part of the rate, lose
// nothing to one that floods.
func TestManyBehindOneAddress(t *testing.T) {
	t.Parallel()
	s := &sim{Bucket: New(1000, 2000, 8)}
	refused := 0
	for i := range 20_000 { // 400 a second of 1000, which two of them share
		s.flood([]uint64{1}, 20_000, 2500*time.Microsecond)
		if !s.Take(2, s.now) && i > 1000 {
			refused++
		}
	}
	if refused > 0 {
		t.Errorf("%d were refused", refused)
	}
}

// The sources remembered are bounded, and forgotten when all has come back.
func TestMemory(t *testing.T) {
	t.Parallel()
	s := &sim{Bucket: New(1000, 2000, 1)}
	most := 0
	for i := range 200_000 {
		s.Take(uint64(i), s.now)
		s.now += time.Millisecond
		most = max(most, s.Sources())
	}
	if most > 6000 {
		t.Errorf("%d sources are remembered, of a burst of 2000", most)
	}
	s.now += time.Minute
	s.Take(7, s.now)
	if n := s.Sources(); n != 1 {
		t.Errorf("%d are remembered after a rest, want 1", n)
	}
}

// A flood without end drains the scale, and changes nothing.
func TestLongFlood(t *testing.T) {
	t.Parallel()
	s := &sim{Bucket: New(1000, 100, 1)}
	s.flood([]uint64{1}, 5000, 10*time.Second)
	before := s.flood([]uint64{1}, 5000, time.Second)[1]
	s.flood([]uint64{1}, 5000, 20*time.Second)
	if after := s.flood([]uint64{1}, 5000, time.Second)[1]; after < before-5 || after > before+5 {
		t.Errorf("%d tokens a second, after twenty seconds %d", before, after)
	}
}

// A clock that stands still, or goes back, gives nothing.
func TestClockGoesBack(t *testing.T) {
	t.Parallel()
	b := New(1000, 10, 1)
	got := 0
	for i := range 1000 {
		if b.Take(uint64(i), time.Duration(1000-i)*time.Second) {
			got++
		}
	}
	if got != 10 {
		t.Errorf("%d tokens, want 10", got)
	}
}

func BenchmarkTake(b *testing.B) {
	for name, sources := range map[string]int{"one": 1, "many": 100_000} {
		b.Run(name, func(b *testing.B) {
			bucket := New(5000, 20_000, 8)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				bucket.Take(uint64(i%sources), time.Duration(i)*200*time.Microsecond)
			}
		})
	}
}
