package roosttest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Memory reads a figure of the process, in bytes, from a line of /proc/<pid>/status that is in kB: VmRSS, RssAnon, or
// VmHWM, the most that VmRSS has been. The process hears nothing of it.
func (p *Process) Memory(name string) int {
	p.t.Helper()
	path := fmt.Sprintf("/proc/%d/status", p.Pid())
	status, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "\n"+name+":")
	text, _, _ := strings.Cut(rest, "kB")
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		p.t.Fatalf("%s says no %s: %v", path, name, err)
	}
	return n << 10
}
