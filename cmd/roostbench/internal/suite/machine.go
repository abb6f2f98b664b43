package suite

import (
	"os"
	"runtime"
	"strings"
)

// Machine is where it was measured.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory string `json:"memory"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

// ThisMachine reads /proc.
func ThisMachine() Machine {
	return Machine{
		CPU:    after("/proc/cpuinfo", "model name"),
		Cores:  runtime.NumCPU(),
		Memory: after("/proc/meminfo", "MemTotal"),
		Kernel: strings.TrimSpace(content("/proc/sys/kernel/osrelease")),
		Go:     runtime.Version(),
	}
}

// after returns what follows "name:" in a file of /proc.
func after(path, name string) string {
	for line := range strings.Lines(content(path)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func content(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}
