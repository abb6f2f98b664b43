package httpapi

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// machineCollector is a machine alone.
type machineCollector struct {
	*machine
	sockets int
}

func (c machineCollector) Describe(ch chan<- *prometheus.Desc) { c.describe(ch) }
func (c machineCollector) Collect(ch chan<- prometheus.Metric) { c.collect(c.sockets, ch) }

// fakeProc makes a /proc of a process with so many resident pages.
func fakeProc(t *testing.T, resident int) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("net/sockstat", "sockets: used 12\nTCP: inuse 17 orphan 0 tw 37 alloc 18 mem 92\nUDP: inuse 0 mem 5\n")
	write("sys/net/ipv4/tcp_mem", "10\t20\t30\n")
	write("7/net/netstat", "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 1 23 45\nIpExt: InOctets\nIpExt: 6\n")
	for fd := range 5 {
		write("7/fd/"+strconv.Itoa(fd), "")
	}
	write("stat", "cpu  1 0 1 1 0 0 0 0 0 0\nbtime 1700000000\n")
	write("7/stat", fmt.Sprintf("7 (roost) S 1 1 1 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 9 0 100 1000000 %d "+
		"18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n", resident))
	if err := os.Symlink("7", filepath.Join(dir, "self")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestMachine(t *testing.T) {
	t.Parallel()
	m := newMachine(fakeProc(t, 3000))
	m.startup -= 2000 * os.Getpagesize()
	page := float64(os.Getpagesize())
	want := map[string]float64{
		"roost_kernel_listen_drops_total COUNTER":                      45,
		"roost_kernel_listen_overflows_total COUNTER":                  23,
		"roost_kernel_tcp_memory_bytes GAUGE":                          92 * page,
		"roost_kernel_tcp_memory_threshold_bytes GAUGE level low":      10 * page,
		"roost_kernel_tcp_memory_threshold_bytes GAUGE level pressure": 20 * page,
		"roost_kernel_tcp_memory_threshold_bytes GAUGE level max":      30 * page,
		"roost_memory_per_connection_bytes GAUGE":                      page,
	}
	got := gather(t, machineCollector{m, 2000})
	maps.DeleteFunc(got, func(name string, _ float64) bool { return strings.HasPrefix(name, "process_") })
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if problems, err := testutil.CollectAndLint(machineCollector{m, 0}); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// gather returns what a collector gives by name, type and labels.
func gather(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName() + " " + f.GetType().String()
			for _, l := range m.GetLabel() {
				name += " " + l.GetName() + " " + l.GetValue()
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return got
}

// Files that a container hides do not affect the rest.
func TestMachineWithoutProc(t *testing.T) {
	t.Parallel()
	for name, proc := range map[string]string{"none": filepath.Join(t.TempDir(), "none"), "empty": t.TempDir()} {
		if n := testutil.CollectAndCount(machineCollector{newMachine(proc), 5000}); n != 3 {
			t.Errorf("%s: %d metrics, want descriptors, their limit, and the memory of a connection, which is 0", name, n)
		}
	}
}

func TestMemoryOfAConnection(t *testing.T) {
	t.Parallel()
	m := &machine{startup: 10_000_000}
	for _, tt := range []struct {
		resident int
		sockets  int
		want     float64
	}{
		{20_000_000, 10_000, 1000},
		{20_000_000, fewSockets, 10_000},
		{20_000_000, fewSockets - 1, 0},
		{20_000_000, 0, 0},
		{9_000_000, 10_000, 0},
	} {
		if got := m.each(tt.resident, tt.sockets); got != tt.want {
			t.Errorf("%d bytes, %d sockets: %v, want %v", tt.resident, tt.sockets, got, tt.want)
		}
	}
}
