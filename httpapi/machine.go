package httpapi

import (
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/procfs"
)

// fewSockets is below how many client sockets the memory of one is not worked out: what the process needs anyway would
// be most of it.
const fewSockets = 1000

// machine reads from /proc what the kernel knows and Go's collectors leave out. Files that can't be read, as in some
// containers, are left out. Static after construction.
type machine struct {
	proc    string // where /proc is
	process *process
	startup int // resident bytes when the server was made, before any client

	tcpMemory, tcpThreshold, overflows, drops, perConnection *prometheus.Desc
}

func newMachine(proc string) *machine {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	m := &machine{
		proc: proc, process: newProcess(proc),
		tcpMemory: desc("roost_kernel_tcp_memory_bytes",
			"Memory that the kernel holds for the buffers of all TCP sockets of this machine, other processes' included."),
		tcpThreshold: desc("roost_kernel_tcp_memory_threshold_bytes",
			"Thresholds of that memory (net.ipv4.tcp_mem): from pressure on the kernel shrinks buffers, at max it drops packets. Absent in some containers.", "level"),
		overflows: desc("roost_kernel_listen_overflows_total",
			"Connections that the kernel dropped because a listening socket's accept queue was full, in this network namespace."),
		drops: desc("roost_kernel_listen_drops_total",
			"Connections that the kernel dropped at a listening socket for any reason, overflows included, in this network namespace."),
		perConnection: desc("roost_memory_per_connection_bytes",
			"Resident memory above that of the start, divided by the client sockets; 0 below 1000 of them. It includes garbage that is not collected yet, and not the kernel's memory."),
	}
	if stat, err := m.process.stat(); err == nil {
		m.startup = stat.resident
	}
	return m
}

func (m *machine) describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.tcpMemory, m.tcpThreshold, m.overflows, m.drops, m.perConnection} {
		ch <- d
	}
	m.process.describe(ch)
}

func (m *machine) collect(sockets int, ch chan<- prometheus.Metric) {
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, kind, v, labels...)
	}
	send(m.perConnection, prometheus.GaugeValue, m.each(m.process.collect(sockets, ch), sockets))
	fs, err := procfs.NewFS(m.proc)
	if err != nil {
		return
	}
	page := float64(os.Getpagesize())
	if pages, ok := tcpPages(fs); ok {
		send(m.tcpMemory, prometheus.GaugeValue, float64(pages)*page)
	}
	for i, level := range [3]string{"low", "pressure", "max"} {
		if levels := tcpLevels(fs); levels != nil {
			send(m.tcpThreshold, prometheus.GaugeValue, float64(levels[i])*page, level)
		}
	}
	if self, err := fs.Self(); err == nil {
		stat, err := self.Netstat()
		if err == nil && stat.ListenOverflows != nil && stat.ListenDrops != nil {
			send(m.overflows, prometheus.CounterValue, *stat.ListenOverflows)
			send(m.drops, prometheus.CounterValue, *stat.ListenDrops)
		}
	}
}

// limits is how close those of the machine are, as far as it says.
func (m *machine) limits(sockets int) []Limit {
	all := []Limit{{
		Name: "Open files", Variable: "ulimit -n, LimitNOFILE=", Used: int64(m.process.openDescriptors(sockets)), Max: maxDescriptors(), Help: "RoostDescriptorsLow",
	}}
	fs, err := procfs.NewFS(m.proc)
	if err != nil {
		return all
	}
	page := int64(os.Getpagesize())
	if pages, ok := tcpPages(fs); ok {
		limit := Limit{Name: "Kernel's buffers of TCP, all processes", Variable: "net.ipv4.tcp_mem", Unit: "bytes", Used: int64(pages) * page, Help: "RoostKernelMemoryLow"}
		if levels := tcpLevels(fs); levels != nil {
			limit.Max = int64(levels[2]) * page
		}
		all = append(all, limit)
	}
	return all
}

// tcpLevels is net.ipv4.tcp_mem, in pages: low, pressure and max; nil where it is not seen.
func tcpLevels(fs procfs.FS) []int {
	if levels, err := fs.SysctlInts("net.ipv4.tcp_mem"); err == nil && len(levels) == 3 {
		return levels
	}
	return nil
}

// tcpPages is what the kernel counts of TCP's buffers, in pages.
func tcpPages(fs procfs.FS) (pages int, ok bool) {
	stat, err := fs.NetSockstat()
	if err != nil {
		return 0, false
	}
	for _, p := range stat.Protocols {
		if p.Protocol == "TCP" && p.Mem != nil {
			return *p.Mem, true
		}
	}
	return 0, false
}

// each is a socket's part of the memory.
func (m *machine) each(resident, sockets int) float64 {
	if sockets < fewSockets || resident < m.startup {
		return 0
	}
	return float64(resident-m.startup) / float64(sockets)
}
