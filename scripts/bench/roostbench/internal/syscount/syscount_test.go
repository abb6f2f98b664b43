package syscount

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCountsOwnCalls(t *testing.T) {
	runtime.LockOSThread() // a thread that comes up during Start may be missed
	defer runtime.UnlockOSThread()
	c, err := Start(os.Getpid())
	if errors.Is(err, ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	const calls = 10_000
	for range calls {
		_ = unix.Getppid()
	}
	// The runtime makes calls of its own, but not so many.
	if n, err := c.Stop(); err != nil || n < calls || n > 2*calls {
		t.Errorf("counted %d, %v", n, err)
	}
}

func TestProcessHasToBeThere(t *testing.T) {
	t.Parallel()
	if _, err := Start(1 << 30); err == nil {
		t.Error("what is not there was counted")
	}
}
