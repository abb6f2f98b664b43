package procfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ReadTree looks at a process and at all that it has started: a proxy with its workers, and the server behind it.
func ReadTree(pid int) (Sample, error) {
	sum, err := Read(pid)
	if err != nil {
		return sum, err
	}
	for _, child := range children(pid) {
		of, err := ReadTree(child)
		if err != nil {
			continue // it has ended
		}
		sum = sum.Plus(of)
	}
	return sum, nil
}

// children are the processes that any thread of a process has started.
func children(pid int) (pids []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for word := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}
