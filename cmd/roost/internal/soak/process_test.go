package soak

import (
	"fmt"
	"os"
	"testing"

	"roost/cmd/roost/internal/roosttest"
)

// figures are what must not grow.
type figures struct {
	rss, anon   int // bytes: VmRSS, RssAnon
	descriptors int
	goroutines  int // 0 where nobody asked
}

// measure reads them from /proc, without a word to the server.
func measure(t *testing.T, server *roosttest.Server) figures {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", server.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	return figures{rss: server.Memory("VmRSS"), anon: server.Memory("RssAnon"), descriptors: len(open)}
}

// peak keeps the largest of each.
func (f *figures) peak(now figures) {
	f.rss, f.anon = max(f.rss, now.rss), max(f.anon, now.anon)
	f.descriptors, f.goroutines = max(f.descriptors, now.descriptors), max(f.goroutines, now.goroutines)
}
