package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Free is how many bytes the groups that the process is in may still take before the first of them reaches its limit. Pages of files that
// were not used of late don't count as taken: the kernel drops them. Without a limit limited is false.
func Free(host fs.FS) (free uint64, limited bool, err error) {
	groups, err := groupsOf(host)
	if err != nil {
		return 0, false, err
	}
	for _, g := range groups {
		for _, file := range g.files() {
			limit, err := readLimit(host, file)
			if err != nil {
				return 0, false, err
			}
			if limit == 0 {
				continue
			}
			used, err := readUsed(host, path.Dir(file), path.Base(file) == limitV1)
			if err != nil {
				return 0, false, err
			}
			if left := limit - min(limit, used); !limited || left < free {
				free, limited = left, true
			}
		}
	}
	return free, limited, nil
}

// readUsed is what the group of a directory has taken.
func readUsed(host fs.FS, dir string, first bool) (uint64, error) {
	name, inactive := "memory.current", "inactive_file"
	if first {
		name, inactive = "memory.usage_in_bytes", "total_inactive_file"
	}
	file := path.Join(dir, name)
	text, err := fs.ReadFile(host, file)
	if err != nil {
		return 0, err
	}
	used, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %q is no number of bytes", file, strings.TrimSpace(string(text)))
	}
	stat, err := fs.ReadFile(host, path.Join(dir, "memory.stat"))
	if errors.Is(err, fs.ErrNotExist) {
		return used, nil
	}
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(stat)) {
		if value, is := strings.CutPrefix(strings.TrimSpace(line), inactive+" "); is {
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %q is no number of bytes", path.Join(dir, "memory.stat"), value)
			}
			used -= min(used, n)
		}
	}
	return used, nil
}
