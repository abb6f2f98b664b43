package procfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Sample is one look at a process and at the machine.
type Sample struct {
	At           time.Time
	User, System time.Duration // CPU, in ticks of 10 ms; their sum is exact, the split is sampled by the kernel
	Running      time.Duration // CPU by schedstat, in nanoseconds, of the threads that there are
	Switches     int64         // voluntary context switches of these threads: each is a wait, so each is a wake-up
	Threads      int
	RSS, Anon    int64 // resident bytes, and those of them without a file behind them
	TCPSockets   int64 // of the machine
	TCPMemory    int64 // bytes of socket buffers, of the machine
	KernelMemory int64 // bytes of slab, of the machine
}

// Read looks at process pid.
func Read(pid int) (Sample, error) {
	s := Sample{At: time.Now()}
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	parts := []struct {
		path  string
		parse func(text string, s *Sample) error
	}{
		{filepath.Join(dir, "stat"), parseStat},
		{filepath.Join(dir, "status"), parseStatus},
		{filepath.Join(dir, "smaps_rollup"), parseRollup},
		{"/proc/net/sockstat", parseSockstat},
		{"/proc/meminfo", parseMeminfo},
	}
	for _, part := range parts {
		text, err := os.ReadFile(part.path)
		if err != nil {
			return s, fmt.Errorf("looking at process %d: %w", pid, err)
		}
		if err := part.parse(string(text), &s); err != nil {
			return s, fmt.Errorf("%s: %w", part.path, err)
		}
	}
	return s, s.readThreads(dir)
}

// readThreads sums what the kernel has only for each thread.
func (s *Sample) readThreads(dir string) error {
	threads, err := os.ReadDir(filepath.Join(dir, "task"))
	if err != nil {
		return fmt.Errorf("looking at threads: %w", err)
	}
	s.Threads = len(threads)
	for _, thread := range threads {
		task := filepath.Join(dir, "task", thread.Name())
		schedstat, err1 := os.ReadFile(filepath.Join(task, "schedstat"))
		status, err2 := os.ReadFile(filepath.Join(task, "status"))
		if err1 != nil || err2 != nil {
			continue // it has ended
		}
		s.Running += parseSchedstat(string(schedstat))
		s.Switches += field(string(status), "voluntary_ctxt_switches:")
	}
	return nil
}

// Plus adds a look at another process. The machine's figures and the moment are
// those of the later look.
func (s Sample) Plus(o Sample) Sample {
	o.User, o.System, o.Running = o.User+s.User, o.System+s.System, o.Running+s.Running
	o.Switches, o.Threads = o.Switches+s.Switches, o.Threads+s.Threads
	o.RSS, o.Anon = o.RSS+s.RSS, o.Anon+s.Anon
	return o
}

// Cost is what happened between two samples.
type Cost struct {
	Elapsed, User, System, Running time.Duration
	Switches                       int64
}

// Since returns what happened since an earlier sample.
func (s Sample) Since(earlier Sample) Cost {
	return Cost{
		Elapsed: s.At.Sub(earlier.At),
		User:    s.User - earlier.User, System: s.System - earlier.System,
		Running:  s.Running - earlier.Running,
		Switches: s.Switches - earlier.Switches,
	}
}

// Slope is what each of count things more costs: (b-a) / count. 0 things cost 0.
func Slope(a, b int64, count int) float64 {
	if count == 0 {
		return 0
	}
	return float64(b-a) / float64(count)
}
