// Package cgroup reads what the control groups around a process let it have. It
// reads files only, from a tree whose root is the host's /, and knows versions 1,
// 2 and both beside each other, in a container and outside.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// unlimited is from where version 1 means no limit: it says so with the largest
// multiple of a page.
const unlimited = math.MaxInt64 >> 16

// Memory is the least memory limit, in bytes, of the groups that the process is in,
// and the file that says so. Without a limit it is 0 and "". It fails if a file
// exists and can't be read or understood.
//
// Version 2 has two files: beyond memory.high a group is slowed down until it
// hardly runs, so that counts as much as memory.max.
func Memory(host fs.FS) (limit uint64, source string, err error) {
	groups, err := groupsOf(host)
	if err != nil {
		return 0, "", err
	}
	var failed []error
	for _, g := range groups {
		for _, file := range g.files() {
			n, err := readLimit(host, file)
			if err != nil {
				failed = append(failed, err)
			}
			if n > 0 && (limit == 0 || n < limit) {
				limit, source = n, file
			}
		}
	}
	return limit, source, errors.Join(failed...)
}

// CountsBuffers says whether what source limits, as Memory returns it, includes what
// is on its way in sockets: version 1 counts that apart.
func CountsBuffers(source string) bool { return path.Base(source) != limitV1 }

// readLimit is 0 when there is no limit, or no such file: the root of a
// hierarchy has none.
func readLimit(host fs.FS, file string) (uint64, error) {
	text, err := fs.ReadFile(host, file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	value := strings.TrimSpace(string(text))
	if value == "max" {
		return 0, nil
	}
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %q is neither a number of bytes nor max", file, value)
	}
	if n >= unlimited {
		return 0, nil
	}
	return n, nil
}

// group is a process's place in a mounted hierarchy.
type group struct {
	mount string   // without the leading slash, as fs.FS needs it
	place string   // the process's group below mount: / or /a/b
	limit []string // names of the files that hold limits
}

// files are the limits of the group and of all above it, since each counts.
func (g group) files() (files []string) {
	for place := g.place; ; place = path.Dir(place) {
		for _, name := range g.limit {
			files = append(files, path.Join(g.mount, place, name))
		}
		if place == "/" {
			return files
		}
	}
}

// groupsOf finds where memory is limited: the memory hierarchy of version 1, the
// one of version 2, or both.
func groupsOf(host fs.FS) ([]group, error) {
	memberships, err := fs.ReadFile(host, "proc/self/cgroup")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a kernel without control groups
	}
	if err != nil {
		return nil, err
	}
	mounts, err := fs.ReadFile(host, "proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var groups []group
	for line := range strings.Lines(string(mounts)) {
		if m, ok := parseMount(line); ok {
			if place, in := m.placeOf(string(memberships)); in {
				groups = append(groups, group{mount: m.point, place: place, limit: m.limits})
			}
		}
	}
	return groups, nil
}
