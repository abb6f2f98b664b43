package soak

import (
	"fmt"
	"os"
	"strconv"
	"strings"
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
	dir := fmt.Sprintf("/proc/%d/", server.Pid())
	open, err := os.ReadDir(dir + "fd")
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		t.Fatal(err)
	}
	return figures{rss: kilobytes(t, string(status), "VmRSS:") << 10, anon: kilobytes(t, string(status), "RssAnon:") << 10,
		descriptors: len(open)}
}

// kilobytes finds a line of /proc/<pid>/status.
func kilobytes(t *testing.T, status, name string) int {
	t.Helper()
	_, rest, _ := strings.Cut(status, "\n"+name)
	text, _, _ := strings.Cut(rest, "kB")
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatalf("/proc says no %s: %v", name, err)
	}
	return n
}

// peak keeps the largest of each.
func (f *figures) peak(now figures) {
	f.rss, f.anon = max(f.rss, now.rss), max(f.anon, now.anon)
	f.descriptors, f.goroutines = max(f.descriptors, now.descriptors), max(f.goroutines, now.goroutines)
}
