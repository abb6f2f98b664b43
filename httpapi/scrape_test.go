package httpapi

import (
	"fmt"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/prometheus/procfs"
)

// discard is a ResponseWriter that keeps nothing.
type discard struct{ *httptest.ResponseRecorder }

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// BenchmarkScrape is a whole answer to Prometheus, as many series as a server with 16 loops has, and what is read from
// /proc for it. It depends on nothing that grows with connections but what BenchmarkCountDescriptors measures.
func BenchmarkScrape(b *testing.B) {
	s := New(Config{Stats: func() Stats {
		stats := someStats()
		stats.LoopBusy, stats.MailboxItems = make([]time.Duration, 16), make([]int, 16)
		for i := range 30 {
			stats.ConnectionsRefused[fmt.Sprint("reason ", i)] = uint64(i)
		}
		return stats
	}})
	defer s.stop()
	r := httptest.NewRequest("GET", "/metrics?format=prometheus", nil)
	b.ReportAllocs()
	for b.Loop() {
		s.Handler().ServeHTTP(discard{httptest.NewRecorder()}, r)
	}
}

// BenchmarkCountDescriptors is the part of a scrape that counts descriptors: Linux has the number at hand since 6.2,
// before that the directory is read.
func BenchmarkCountDescriptors(b *testing.B) {
	const more = 15_000
	for range more {
		f, err := os.Open(os.DevNull)
		if err != nil {
			b.Skipf("so many can't be opened: %v", err)
		}
		defer f.Close()
	}
	self, err := procfs.Self()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("asked", func(b *testing.B) {
		for b.Loop() {
			if n, err := self.FileDescriptorsLen(); err != nil || n < more {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			dir, err := os.Open("/proc/self/fd")
			if err != nil {
				b.Fatal(err)
			}
			names, err := dir.Readdirnames(-1)
			if err != nil || len(names) < more {
				b.Fatal(len(names), err)
			}
			_ = dir.Close()
		}
	})
}
