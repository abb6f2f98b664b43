package httpapi

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Forty who read the numbers as fast as they can cost a gathering a second, and nobody is refused.
func TestGatheringIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gathered atomic.Uint64
		s := New(Config{Stats: func() Stats { return Stats{LogLinesDropped: gathered.Add(1)} }})
		defer s.stop()
		const seconds = 10
		end := time.Now().Add(seconds * time.Second)
		var readers sync.WaitGroup
		for i := range 40 {
			path := [...]string{"/metrics", "/metrics?format=json", "/metrics?format=prometheus"}[i%3]
			readers.Go(func() {
				for time.Now().Before(end) {
					if status := ask(s, "GET", path).StatusCode; status != http.StatusOK {
						t.Errorf("%s: %d", path, status)
					}
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		readers.Wait()
		if n := gathered.Load(); n < seconds || n > seconds+gatherBurst {
			t.Errorf("gathered %d times in %d s", n, seconds)
		}
	})
}

// Nobody gets numbers that are older than a second.
func TestGatheredNumbersAreNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Stats: func() Stats { return Stats{} }})
		defer s.stop()
		for range 1000 {
			asked := time.Now()
			if at := s.gatherer.current().at; asked.Sub(at) > gatherEvery {
				t.Fatalf("asked at %s and got numbers of %s", asked, at)
			}
			time.Sleep(7 * time.Millisecond)
		}
	})
}

// A reader that asks again after a while, several times, has new numbers each time.
func TestAFewAskersGetNewNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gathered := 0
		s := New(Config{Stats: func() Stats { gathered++; return Stats{} }})
		defer s.stop()
		for range 3 {
			before := gathered
			for range gatherBurst {
				time.Sleep(time.Millisecond)
				s.gatherer.current()
			}
			if gathered != before+gatherBurst {
				t.Errorf("gathered %d times for %d", gathered-before, gatherBurst)
			}
			time.Sleep(gatherBurst * gatherEvery)
		}
	})
}
