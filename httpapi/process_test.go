package httpapi

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/procfs"
)

// The metrics of Prometheus's own collector, but for the traffic, which is not the process's, and a limit that nobody
// sets.
func TestProcessIsAsPrometheusHasIt(t *testing.T) {
	t.Parallel()
	collector := collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})
	theirs := gather(t, collector)
	for theirs["process_cpu_seconds_total COUNTER"] == 0 { // the kernel counts in hundredths, and this process may be younger
		theirs = gather(t, collector)
	}
	ours := gather(t, machineCollector{newMachine(procfs.DefaultMountPoint), 0})
	for name, want := range theirs {
		got, is := ours[name]
		switch name {
		case "process_network_receive_bytes_total COUNTER", "process_network_transmit_bytes_total COUNTER",
			"process_virtual_memory_max_bytes GAUGE":
			if is {
				t.Errorf("%s is there", name)
			}
		case "process_max_fds GAUGE", "process_start_time_seconds GAUGE":
			if got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		default: // changes all the time
			if !is || got <= 0 {
				t.Errorf("%s is %v, want about %v", name, got, want)
			}
		}
	}
}

// An older kernel does not say how many descriptors there are, which is a directory's size of 0.
func TestDescriptorsOfAnOlderKernel(t *testing.T) {
	t.Parallel()
	proc := fakeProc(t, 10)
	p := newProcess(proc)
	if p.others != 5 {
		t.Errorf("%d descriptors at the start, want 5", p.others)
	}
	if err := os.RemoveAll(filepath.Join(proc, "7", "fd")); err != nil {
		t.Fatal(err)
	}
	if n := p.openDescriptors(100_000); n != 100_005 {
		t.Errorf("%d descriptors, want those of the start and the sockets", n)
	}
}

// Exactly the described metrics come: a registry is strict about it.
func TestProcessDescribesItself(t *testing.T) {
	t.Parallel()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(newCollector(someStats, someCounters, newMachine(procfs.DefaultMountPoint)))
	if _, err := r.Gather(); err != nil {
		t.Error(err)
	}
}
