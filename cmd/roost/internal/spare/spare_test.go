package spare

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSet(t *testing.T) {
	t.Parallel()
	s, err := Open(3)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for left := 2; left >= 0; left-- {
		if !s.Release() || s.Left() != left {
			t.Errorf("%d left, want %d", s.Left(), left)
		}
	}
	if s.Release() {
		t.Error("a fourth was released")
	}
	s.Refill()
	if s.Left() != 3 {
		t.Errorf("%d after Refill", s.Left())
	}
	failed := errors.New("failed")
	if err := s.ReleasedDuring(func() error {
		if s.Left() != 0 {
			t.Errorf("%d left while all are lent", s.Left())
		}
		return failed
	}); err != failed || s.Left() != 3 {
		t.Errorf("ReleasedDuring: %v, %d left", err, s.Left())
	}
	s.Close()
	if s.Refill(); s.Left() != 0 {
		t.Errorf("%d after Close", s.Left())
	}
}

func TestNoSet(t *testing.T) {
	t.Parallel()
	var s *Set
	s.Refill()
	s.Close()
	if s.Release() || s.Left() != 0 || s.ReleasedDuring(func() error { return nil }) != nil {
		t.Error("nil has descriptors")
	}
}

func TestExhausted(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		syscall.EMFILE: true, &os.PathError{Err: syscall.ENFILE}: true, fmt.Errorf("x: %w", unix.EMFILE): true,
		syscall.EAGAIN: false, nil: false,
	} {
		if Exhausted(err) != want {
			t.Errorf("%v: %t", err, !want)
		}
	}
}
