package cgroup

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// Lines of proc/self/mountinfo.
const (
	mountV2        = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountV1        = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
	mountV1Docker  = "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
	mountV1CPU     = "33 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
	mountUnified   = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
	mountElsewhere = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
	mib            = 1 << 20
	memoryV1       = "sys/fs/cgroup/memory/"
	memoryV2       = "sys/fs/cgroup/"
	service        = "system.slice/roost.service/"
)

// tree makes a host of files' contents.
func tree(files map[string]string) fstest.MapFS {
	host := fstest.MapFS{}
	for name, content := range files {
		host[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return host
}

func TestMemory(t *testing.T) {
	t.Parallel()
	const self, mounts = "proc/self/cgroup", "proc/self/mountinfo"
	tests := map[string]struct {
		files  map[string]string
		limit  uint64
		source string
	}{
		"no control groups": {nil, 0, ""},
		"a container, version 2": {map[string]string{
			self: "0::/\n", mounts: mountElsewhere + mountV2, memoryV2 + "memory.max": "536870912\n", memoryV2 + "memory.high": "max\n",
		}, 512 * mib, memoryV2 + "memory.max"},
		"a service of systemd": {map[string]string{
			self: "0::/system.slice/roost.service\n", mounts: mountV2,
			memoryV2 + service + "memory.max": "1073741824\n", memoryV2 + "system.slice/memory.max": "max\n",
		}, 1024 * mib, memoryV2 + service + "memory.max"},
		"the slice has less": {map[string]string{
			self: "0::/system.slice/roost.service\n", mounts: mountV2,
			memoryV2 + service + "memory.max": "1073741824\n", memoryV2 + "system.slice/memory.max": "536870912\n",
		}, 512 * mib, memoryV2 + "system.slice/memory.max"},
		"slowed down before it is full": {map[string]string{
			self: "0::/\n", mounts: mountV2, memoryV2 + "memory.max": "536870912\n", memoryV2 + "memory.high": "268435456\n",
		}, 256 * mib, memoryV2 + "memory.high"},
		"version 2 without a limit": {map[string]string{
			self: "0::/\n", mounts: mountV2, memoryV2 + "memory.max": "max\n",
		}, 0, ""},
		"version 1": {map[string]string{
			self: "4:cpu,cpuacct:/x\n3:memory:/jobs/one\n", mounts: mountV1CPU + mountV1, memoryV1 + "jobs/one/memory.limit_in_bytes": "134217728\n",
			memoryV1 + "memory.limit_in_bytes": "9223372036854771712\n",
		}, 128 * mib, memoryV1 + "jobs/one/memory.limit_in_bytes"},
		"version 1 without a limit": {map[string]string{
			self: "3:memory:/\n", mounts: mountV1, memoryV1 + "memory.limit_in_bytes": "9223372036854771712\n",
		}, 0, ""},
		"version 1 in a container": {map[string]string{
			self: "3:memory:/docker/abc\n", mounts: mountV1Docker, memoryV1 + "memory.limit_in_bytes": "134217728\n",
		}, 128 * mib, memoryV1 + "memory.limit_in_bytes"},
		"version 1 in a container that sees another name": {map[string]string{
			self: "3:memory:/docker/abcdef\n", mounts: mountV1Docker, memoryV1 + "memory.limit_in_bytes": "134217728\n",
		}, 128 * mib, memoryV1 + "memory.limit_in_bytes"},
		"a group inside of a container": {map[string]string{
			self: "3:memory:/docker/abc/job\n", mounts: mountV1Docker, memoryV1 + "memory.limit_in_bytes": "134217728\n",
			memoryV1 + "job/memory.limit_in_bytes": "67108864\n",
		}, 64 * mib, memoryV1 + "job/memory.limit_in_bytes"},
		"both versions, memory in the first": {map[string]string{
			self: "3:memory:/one\n0::/\n", mounts: mountV1 + mountUnified, memoryV1 + "one/memory.limit_in_bytes": "134217728\n",
		}, 128 * mib, memoryV1 + "one/memory.limit_in_bytes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit, source, err := Memory(tree(tt.files))
			if limit != tt.limit || source != tt.source || err != nil {
				t.Errorf("%d %q %v, want %d %q", limit, source, err, tt.limit, tt.source)
			}
			if first := strings.HasPrefix(source, memoryV1); source != "" && CountsBuffers(source) == first {
				t.Errorf("%s: counts buffers is %v", source, !first)
			}
		})
	}
}

func TestMemoryThatCannotBeRead(t *testing.T) {
	t.Parallel()
	host := tree(map[string]string{
		"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mountV2,
		memoryV2 + "a/memory.max": "lots\n", memoryV2 + "memory.max": "536870912\n",
	})
	limit, _, err := Memory(host)
	if limit != 512*mib || err == nil || !strings.Contains(err.Error(), `a/memory.max: "lots"`) {
		t.Errorf("%d, %v: want the other limit, and an error that names the file", limit, err)
	}
	host["sys/fs/cgroup/a/memory.max"] = &fstest.MapFile{Mode: fs.ModeDir}
	if _, _, err := Memory(host); err == nil {
		t.Error("no error for a file that can't be read")
	}
	delete(host, "proc/self/mountinfo")
	if _, _, err := Memory(host); err == nil {
		t.Error("no error without mountinfo")
	}
}

// The limit can be read on any host.
func TestMemoryOfThisHost(t *testing.T) {
	t.Parallel()
	if limit, source, err := Memory(os.DirFS("/")); err != nil || (limit > 0) != (source != "") {
		t.Errorf("%d %q %v", limit, source, err)
	}
}
