package httpapi

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/procfs"
)

// process gives the metrics of Prometheus's own process collector, by the same names, for a process that has a hundred
// thousand descriptors. That collector counts them by reading a directory where Linux is older than 6.2, for 4 µs each
// and at every scrape. It also gives the traffic of the whole network namespace for that of the process, which is left
// out here. Static after construction.
type process struct {
	proc   string   // where /proc is
	file   *os.File // its self/stat, open for good: nobody can open it when there are no descriptors; nil: not there
	start  float64  // Unix time in seconds
	others int      // descriptors of the start, before there were clients

	cpu, resident, virtual, startTime, open, limit *prometheus.Desc
}

func newProcess(proc string) *process {
	desc := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }
	p := &process{
		proc:      proc,
		cpu:       desc("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
		resident:  desc("process_resident_memory_bytes", "Resident memory size in bytes."),
		virtual:   desc("process_virtual_memory_bytes", "Virtual memory size in bytes."),
		startTime: desc("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
		open: desc("process_open_fds",
			"Number of open file descriptors. Where Linux is older than 6.2, those of the start and of client sockets."),
		limit: desc("process_max_fds", "Maximum number of open file descriptors."),
	}
	p.file, _ = os.Open(filepath.Join(proc, "self", "stat")) // without it what it says is left out
	if fs, err := procfs.NewFS(proc); err == nil {
		if self, err := fs.Self(); err == nil {
			if stat, err := self.Stat(); err == nil {
				p.start, _ = stat.StartTime()
			}
		}
	}
	if entries, err := os.ReadDir(p.descriptors()); err == nil {
		p.others = len(entries)
	}
	return p
}

func (p *process) describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{p.cpu, p.resident, p.virtual, p.startTime, p.open, p.limit} {
		ch <- d
	}
}

// collect sends the process's metrics and returns its resident memory, in bytes, for others to divide.
func (p *process) collect(sockets int, ch chan<- prometheus.Metric) (resident int) {
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, v float64) {
		ch <- prometheus.MustNewConstMetric(desc, kind, v)
	}
	if stat, err := p.stat(); err == nil {
		resident = stat.resident
		send(p.cpu, prometheus.CounterValue, stat.cpu)
		send(p.resident, prometheus.GaugeValue, float64(resident))
		send(p.virtual, prometheus.GaugeValue, float64(stat.virtual))
	}
	if p.start > 0 {
		send(p.startTime, prometheus.GaugeValue, p.start)
	}
	send(p.open, prometheus.GaugeValue, float64(p.openDescriptors(sockets)))
	if limit := maxDescriptors(); limit > 0 {
		send(p.limit, prometheus.GaugeValue, float64(limit))
	}
	return resident
}

// processStat is what the kernel counts of a process.
type processStat struct {
	cpu      float64 // seconds, of user and system
	virtual  int     // bytes
	resident int     // bytes
}

// ticks is how many of them /proc has in a second (USER_HZ), on every architecture of Linux that Go runs on.
const ticks = 100

var errNoStat = errors.New("/proc has no stat of this process")

// stat reads /proc/self/stat: proc_pid_stat(5). Any goroutine.
func (p *process) stat() (processStat, error) {
	if p.file == nil {
		return processStat{}, errNoStat
	}
	var text [1024]byte
	n, err := p.file.ReadAt(text[:], 0)
	if err != nil && err != io.EOF {
		return processStat{}, err
	}
	// The second field is the program's name in brackets, which may hold any byte.
	_, rest, _ := strings.Cut(string(text[bytes.LastIndexByte(text[:n], ')')+1:n]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 22 {
		return processStat{}, errNoStat
	}
	number := func(field int) int { // as the manual numbers them: the first here is 3
		v, _ := strconv.Atoi(fields[field-3]) // the kernel writes numbers
		return v
	}
	return processStat{
		cpu:      float64(number(14)+number(15)) / ticks,
		virtual:  number(23),
		resident: number(24) * os.Getpagesize(),
	}, nil
}

func (p *process) descriptors() string { return filepath.Join(p.proc, "self", "fd") }

// openDescriptors asks the kernel: the directory's size is their number since Linux 6.2, and was 0 before.
func (p *process) openDescriptors(sockets int) int {
	if info, err := os.Stat(p.descriptors()); err == nil && info.Size() > 0 {
		return int(info.Size())
	}
	return p.others + sockets
}
