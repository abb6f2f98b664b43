package procfs

import (
	"bufio"
	"os/exec"
	"testing"
)

func TestReadTreeAddsChildren(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", `exec 3<&0; cat <&3 & echo ready; wait`)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil || cmd.Start() != nil {
		t.Fatal(err1, err2)
	}
	defer func() { _ = in.Close(); _ = cmd.Wait() }()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	one, err1 := Read(cmd.Process.Pid)
	all, err2 := ReadTree(cmd.Process.Pid)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if len(Children(cmd.Process.Pid)) != 1 {
		t.Skip("the kernel does not say who started whom")
	}
	if all.Threads != one.Threads+1 || all.Anon <= one.Anon {
		t.Errorf("alone %+v, with its child %+v", one, all)
	}
	if _, err := ReadTree(1 << 30); err == nil {
		t.Error("a process that is not there can be read")
	}
}
