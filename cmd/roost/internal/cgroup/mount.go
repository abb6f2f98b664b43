package cgroup

import (
	"slices"
	"strings"
)

// mount is a mounted hierarchy that can limit memory.
type mount struct {
	root       string // which group is at the mount point: not / where a container sees a part only
	point      string
	controller string // as proc/self/cgroup names it: memory, or nothing for version 2
	limits     []string
}

// limitV1 is the file of version 1 with a group's limit.
const limitV1 = "memory.limit_in_bytes"

// parseMount reads a line of proc/self/mountinfo (proc_pid_mountinfo(5)):
//
//	36 35 98:0 /root /point rw,noatime shared:1 - cgroup2 source rw,memory
func parseMount(line string) (mount, bool) {
	about, filesystem, ok := strings.Cut(strings.TrimSpace(line), " - ")
	fields, kind := strings.Fields(about), strings.Fields(filesystem)
	if !ok || len(fields) < 5 || len(kind) < 3 {
		return mount{}, false
	}
	m := mount{root: fields[3], point: strings.TrimPrefix(fields[4], "/")}
	switch kind[0] {
	case "cgroup2":
		m.limits = []string{"memory.max", "memory.high"}
	case "cgroup":
		m.controller, m.limits = "memory", []string{limitV1}
		ok = slices.Contains(strings.Split(kind[2], ","), "memory")
	default:
		ok = false
	}
	return m, ok
}

// placeOf finds the process's group below the mount point. Memberships are the
// lines of proc/self/cgroup, number:controllers:group.
func (m mount) placeOf(memberships string) (string, bool) {
	for line := range strings.Lines(memberships) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || !slices.Contains(strings.Split(parts[1], ","), m.controller) {
			continue
		}
		return m.below(parts[2]), true
	}
	return "", false
}

// below is a group's place under the mount point. A group that is outside of
// what is mounted is, in a container, the one that is mounted.
func (m mount) below(group string) string {
	if m.root == "/" {
		return group
	}
	if rest, ok := strings.CutPrefix(group, m.root); ok && (rest == "" || rest[0] == '/') {
		return "/" + strings.TrimPrefix(rest, "/")
	}
	return "/"
}
