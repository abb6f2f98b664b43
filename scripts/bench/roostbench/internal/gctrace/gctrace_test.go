package gctrace

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

const lines = `{"level":"INFO"}
gc 1 @0.038s 1%: 0.25+0.45+0.5 ms clock, 1+2/3/4+5 ms cpu, 4->4->1 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 2 P
gc 2 @0.1s 2%: 0.1+0.2+0.75 ms clock, 0.5+0/0/0+0.5 ms cpu, 4->4->1 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 2 P (forced)
gc 3 @0.1s
gc 4 @0.1s 2%: 0.1+0.2 ms clock, 0.5+0/0+0.5 ms cpu, 4
`

func TestParse(t *testing.T) {
	t.Parallel()
	got := Parse(lines)
	want := []Cycle{
		{[2]time.Duration{250 * time.Microsecond, 500 * time.Microsecond}, 11 * time.Millisecond, false},
		{[2]time.Duration{100 * time.Microsecond, 750 * time.Microsecond}, time.Millisecond, true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	sum := Sum{Cycles: 2, Forced: 1, Longest: 750 * time.Microsecond, Paused: 1600 * time.Microsecond, CPU: 12 * time.Millisecond}
	if got := Add(got); got != sum {
		t.Errorf("got %+v, want %+v", got, sum)
	}
}

func TestLogBeginsWhereItWasFollowed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := Follow(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(lines+lines), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := log.Since(); err != nil || len(got) != 2 {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := Follow(path + "x"); err == nil {
		t.Error("a file that is not there was followed")
	}
}
