package sentlog

import (
	"math/rand/v2"
	"testing"
	"time"
)

// The model keeps all that was ever noted. The log may know less, but must say so.
func TestSentLogAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		log := ring{keep: time.Minute, next: -uint32(rng.IntN(15_000))} // wraps around on its way
		ends := map[int32][]uint32{}                                    // of the connection that has the descriptor
		written := map[int32]uint32{}
		now, known := time.Duration(0), 0
		for range 20_000 {
			now += time.Duration(rng.IntN(2_000_000))
			fd := int32(rng.IntN(8)*chains + rng.IntN(20)) // many share a chain
			switch rng.IntN(20) {
			case 0:
				log.begin(fd, now)
				ends[fd], written[fd] = nil, 0
			case 1, 2:
				acked := written[fd] - min(written[fd], uint32(rng.IntN(3000)))
				want := 0
				for _, end := range ends[fd] {
					if end > acked {
						want++
					}
				}
				n, all := log.after(fd, acked)
				if all {
					known++
				}
				if n > want || all && n != want {
					t.Fatalf("seed %d: %d are not acknowledged (all: %v), want %d", seed, n, all, want)
				}
			default:
				written[fd] += uint32(1 + rng.IntN(500))
				ends[fd] = append(ends[fd], written[fd])
				log.note(fd, written[fd], now)
				written[fd] += uint32(rng.IntN(3)) // a ping
			}
		}
		if known < 500 {
			t.Errorf("seed %d: the log knew all only %d times", seed, known)
		}
	}
}

// The ring is as large as it has to be to go back for keep, within its bounds.
func TestSentLogSize(t *testing.T) {
	t.Parallel()
	log := ring{keep: time.Minute}
	now := time.Duration(0)
	fill := func(n int, every time.Duration) {
		for range n {
			now += every
			log.note(1, 1, now)
		}
	}
	for _, tt := range []struct {
		every       time.Duration
		least, most int
	}{
		{time.Second, 60, 2 * pageEntries},
		{10 * time.Millisecond, 6000, 6000 + 2*pageEntries},
		{time.Millisecond, 60_000, 60_000 + 2*pageEntries},
		{time.Microsecond, maxPages * pageEntries, maxPages * pageEntries},
		{10 * time.Millisecond, 6000, 6000 + 2*pageEntries},
		{time.Second, 60, 2 * pageEntries},
	} {
		fill(3*maxPages*pageEntries, tt.every)
		if size := len(log.pages) * pageEntries; size < tt.least || size > tt.most {
			t.Errorf("one every %s: room for %d, want %d to %d", tt.every, size, tt.least, tt.most)
		}
	}
}

// The next connection with the same descriptor has nothing to do with the one before.
func TestSentLogTellsConnectionsApart(t *testing.T) {
	t.Parallel()
	log := ring{keep: time.Minute}
	log.begin(7, 1)
	for i := range uint32(10) {
		log.note(7, 100*(i+1), 1)
	}
	if n, all := log.after(7, 650); n != 4 || !all {
		t.Errorf("%d, all: %v; want 4 of ten", n, all)
	}
	log.begin(7, 2)
	log.note(7, 100, 2)
	for acked, want := range map[uint32]int{0: 1, 99: 1, 100: 0} {
		if n, all := log.after(7, acked); n != want || !all {
			t.Errorf("%d acknowledged: %d, all: %v; want %d", acked, n, all, want)
		}
	}
}

func BenchmarkSentLogNote(b *testing.B) {
	log := ring{keep: time.Minute}
	for i := 0; b.Loop(); i++ {
		log.note(int32(i*7%10_000), uint32(i), time.Duration(i)*20_000)
	}
}

// Connections that come and get nothing take no room in the log.
func TestSentLogOfConnectionsThatGetNothing(t *testing.T) {
	t.Parallel()
	log := ring{keep: time.Minute}
	for i := range int32(100_000) {
		log.begin(i, time.Duration(i))
	}
	if len(log.pages) != 0 {
		t.Errorf("room for %d entries", len(log.pages)*pageEntries)
	}
	if n, all := log.after(7, 0); n != 0 || !all {
		t.Errorf("%d, all: %v; nothing was ever sent", n, all)
	}
	log.note(7, 100, 1)
	for range 10 {
		log.begin(7, 2)
	}
	if log.filled != 2 {
		t.Errorf("%d entries, want the one and what ends it", log.filled)
	}
	if n, all := log.after(7, 0); n != 0 || !all {
		t.Errorf("%d, all: %v, of a connection that got nothing", n, all)
	}
}
