package cgroup

import (
	"os"
	"strings"
	"testing"
)

func TestFree(t *testing.T) {
	t.Parallel()
	const self, mounts = "proc/self/cgroup", "proc/self/mountinfo"
	tests := map[string]struct {
		files   map[string]string
		free    uint64
		limited bool
	}{
		"no control groups": {nil, 0, false},
		"version 2 without a limit": {map[string]string{
			self: "0::/\n", mounts: mountV2, memoryV2 + "memory.max": "max\n",
		}, 0, false},
		"pages of files are free": {map[string]string{
			self: "0::/\n", mounts: mountV2, memoryV2 + "memory.max": "536870912\n", memoryV2 + "memory.current": "268435456\n",
			memoryV2 + "memory.stat": "anon 1\ninactive_file 134217728\nactive_file 1\n",
		}, 384 * mib, true},
		"the slice has less left": {map[string]string{
			self: "0::/system.slice/roost.service\n", mounts: mountV2,
			memoryV2 + service + "memory.max": "1073741824\n", memoryV2 + service + "memory.current": "0\n",
			memoryV2 + "system.slice/memory.max": "1073741824\n", memoryV2 + "system.slice/memory.current": "1072693248\n",
		}, 1 * mib, true},
		"above its limit": {map[string]string{
			self: "0::/\n", mounts: mountV2, memoryV2 + "memory.high": "1048576\n", memoryV2 + "memory.current": "2097152\n",
		}, 0, true},
		"version 1": {map[string]string{
			self: "3:memory:/\n", mounts: mountV1, memoryV1 + "memory.limit_in_bytes": "134217728\n",
			memoryV1 + "memory.usage_in_bytes": "67108864\n", memoryV1 + "memory.stat": "inactive_file 7\ntotal_inactive_file 33554432\n",
		}, 96 * mib, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			free, limited, err := Free(tree(tt.files))
			if free != tt.free || limited != tt.limited || err != nil {
				t.Errorf("%d %v %v, want %d %v", free, limited, err, tt.free, tt.limited)
			}
		})
	}
}

func TestFreeThatCannotBeRead(t *testing.T) {
	t.Parallel()
	host := tree(map[string]string{
		"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mountV2, memoryV2 + "memory.max": "536870912\n", memoryV2 + "memory.current": "much\n",
	})
	if _, _, err := Free(host); err == nil || !strings.Contains(err.Error(), `memory.current: "much"`) {
		t.Errorf("%v", err)
	}
	if _, _, err := Free(os.DirFS("/")); err != nil {
		t.Errorf("of this host: %v", err)
	}
}
