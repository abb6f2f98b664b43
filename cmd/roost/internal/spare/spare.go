// Package spare keeps file descriptors in reserve, so that the things that have to work when a process has no descriptor left still
// does: the admin server's answers, a new link to Redis, an upgrade.
//
// cmd/roost opens each set at the start, when descriptors have low numbers: the kernel compares a new descriptor's
// number with RLIMIT_NOFILE, so one that is given back is of use even after somebody has lowered that limit.
package spare

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// Set is a number of descriptors that stand for nothing. Any goroutine. A nil Set has none.
type Set struct {
	mu   sync.Mutex
	size int   // guarded by mu: how many there should be
	open []int // guarded by mu: of /dev/null
}

// Open opens a set of so many descriptors.
func Open(size int) (*Set, error) {
	s := &Set{size: size}
	if err := s.fill(); err != nil {
		s.Close()
		return nil, fmt.Errorf("keeping %d descriptors aside: %w", size, err)
	}
	return s, nil
}

// Release closes one descriptor of the set, so that the caller can open something else, and reports whether there was
// one left. Another goroutine of the process may be faster. The caller calls [Set.Refill] when it has closed what it
// opened.
func (s *Set) Release() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.open)
	if n == 0 {
		return false
	}
	_ = unix.Close(s.open[n-1]) // of /dev/null: nothing is lost
	s.open = s.open[:n-1]
	return true
}

// Refill opens again what was released, as far as descriptors allow.
func (s *Set) Refill() {
	if s == nil {
		return
	}
	_ = s.fill() // the next Refill makes the missing ones
}

// Left is how many descriptors the set holds now.
func (s *Set) Left() int {
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// ReleasedDuring calls f while all of the set is released, and fills the set again.
func (s *Set) ReleasedDuring(f func() error) error {
	for s.Release() {
	}
	defer s.Refill()
	return f()
}

// Close gives all descriptors back, for good.
func (s *Set) Close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.size = 0
	s.mu.Unlock()
	for s.Release() {
	}
}

func (s *Set) fill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.open) < s.size {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		s.open = append(s.open, fd)
	}
	return nil
}

// Exhausted reports whether an error says that the process, or the whole system, has no descriptor left.
func Exhausted(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)
}
