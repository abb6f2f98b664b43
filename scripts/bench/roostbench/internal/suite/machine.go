package suite

import (
	"os"
	"os/exec"
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
	Redis  string `json:"redis"`
}

// ThisMachine reads /proc and asks Redis.
func ThisMachine() Machine {
	return Machine{
		CPU:    after("/proc/cpuinfo", "model name"),
		Cores:  runtime.NumCPU(),
		Memory: after("/proc/meminfo", "MemTotal"),
		Kernel: strings.TrimSpace(content("/proc/sys/kernel/osrelease")),
		Go:     runtime.Version(),
		Redis:  redisVersion(),
	}
}

// redisVersion is what "redis-server --version" says after "v=".
func redisVersion() string {
	said, _ := exec.Command("redis-server", "--version").Output()
	_, rest, _ := strings.Cut(string(said), "v=")
	version, _, _ := strings.Cut(rest, " ")
	return version
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
