package commands

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// openTerminal makes a terminal: what its keyboard and screen would be, and what programs get.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	return master, slave
}

// A server that was started by hand reloads when it is asked to, and stops when its terminal is closed: in both cases
// the signal is SIGHUP.
func TestTerminalIsClosed(t *testing.T) {
	t.Parallel()
	master, slave := openTerminal(t)
	process := roosttest.Run(t, roosttest.Command{
		Env: roosttest.ServerEnv(redistest.Start(t), nil), Files: []*os.File{slave},
		Wrap: []string{"/bin/sh", "-c", `exec setsid -c "$@" <&3 3<&-`, "sh"},
	})
	_ = slave.Close()
	process.WaitLine("redis feed is subscribed")
	process.Signal(syscall.SIGHUP)
	process.WaitLine("configuration reloaded")
	if err := master.Close(); err != nil {
		t.Fatal(err)
	}
	if code := process.Wait(); code != 0 || len(process.Log.Find("SIGHUP: the terminal is gone")) != 1 {
		t.Errorf("the server ended with %d", code)
	}
}
