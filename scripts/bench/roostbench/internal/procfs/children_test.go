package procfs

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
)

func TestChildren(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if pids := Children(os.Getpid()); !slices.Contains(pids, cmd.Process.Pid) {
		t.Errorf("%d is not among %v", cmd.Process.Pid, pids)
	}
	_ = in.Close()
	_ = cmd.Wait()
	if pids := Children(os.Getpid()); slices.Contains(pids, cmd.Process.Pid) {
		t.Errorf("%d has ended and is among %v", cmd.Process.Pid, pids)
	}
	if n := Anon(cmd.Process.Pid); n != 0 {
		t.Errorf("a process that has ended has %d bytes", n)
	}
}

func TestAnon(t *testing.T) {
	t.Parallel()
	held := bytes.Repeat([]byte{1}, 8<<20) // written, so each page is there
	if n := Anon(os.Getpid()); n < 4<<20 {
		t.Errorf("this process has %d bytes, and holds %d", n, len(held))
	}
	runtime.KeepAlive(held)
}
