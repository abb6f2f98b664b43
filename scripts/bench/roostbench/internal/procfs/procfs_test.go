package procfs

import (
	"os"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	var s Sample
	text := "18240 (a) b (c)) R 18236 18236 4689 0 -1 4194304 100 0 0 0 123 45 0 0 20 0 1 0 693482\n"
	if err := parseStat(text, &s); err != nil || s.User != 1230*time.Millisecond || s.System != 450*time.Millisecond {
		t.Errorf("user %s, system %s, %v", s.User, s.System, err)
	}
	for _, bad := range []string{"", "1 (x) R 1", "1 (x) R 1 2 3 4 5 6 7 8 9 10 x y 13"} {
		if err := parseStat(bad, &s); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestParseMemory(t *testing.T) {
	t.Parallel()
	var s Sample
	if err := parseStatus("Name:\tx\nVmRSS:\t    1664 kB\nRssAnon:\t     112 kB\n", &s); err != nil || s.RSS != 1664<<10 || s.Anon != 112<<10 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := parseRollup("00 ---p [rollup]\nRss:    10 kB\nPss: 1 kB\nAnonymous:   4 kB\n", &s); err != nil || s.RSS != 10<<10 || s.Anon != 4<<10 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := parseSockstat("sockets: used 11\nTCP: inuse 1 orphan 0 tw 155 alloc 7 mem 3\n", &s); err != nil ||
		s.TCPSockets != 7 || s.TCPMemory != 3*int64(os.Getpagesize()) {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestReadSelf(t *testing.T) {
	t.Parallel()
	before, err := Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var after Sample
	var cost Cost
	for end := time.Now().Add(time.Minute); cost.User+cost.System <= 0 && time.Now().Before(end); { // reading costs something
		if after, err = Read(os.Getpid()); err != nil {
			t.Fatal(err)
		}
		cost = after.Since(before)
	}
	if cost.User+cost.System <= 0 || cost.Running <= 0 || cost.Elapsed <= 0 || after.RSS < after.Anon || after.Anon <= 0 || after.Threads < 1 {
		t.Errorf("cost %+v of %+v", cost, after)
	}
}

func TestSlope(t *testing.T) {
	t.Parallel()
	if got := Slope(2_000_000, 15_600_000, 16_000); got != 850 {
		t.Errorf("got %v", got)
	}
	if got := Slope(1, 2, 0); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
