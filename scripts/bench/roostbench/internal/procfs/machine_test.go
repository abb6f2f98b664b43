package procfs

import (
	"errors"
	"testing"
	"time"
)

func TestMachine(t *testing.T) {
	t.Parallel()
	m, err := parseMachine("cpu  100 10 50 800 40 1 2 3 4 0\ncpu0 1 2\n")
	if want := (Machine{Busy: 1660 * time.Millisecond, Idle: 8400 * time.Millisecond}); err != nil || m != want {
		t.Errorf("%+v, %v, want %+v", m, err, want)
	}
	later := Machine{Busy: m.Busy + 3*time.Second, Idle: m.Idle + time.Second}
	if got := later.BusySince(m); got != 0.75 || m.BusySince(m) != 0 {
		t.Errorf("got %v, %v", got, m.BusySince(m))
	}
	if _, err := parseMachine("intr 1\n"); !errors.Is(err, errUnexpected) {
		t.Errorf("got %v", err)
	}
	if now, err := ReadMachine(); err != nil || now.Busy <= 0 {
		t.Errorf("%+v, %v", now, err)
	}
}
