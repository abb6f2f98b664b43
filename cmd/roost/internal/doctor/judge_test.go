package doctor

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"roost/cmd/roost/internal/sizing"
)

// ask is what the tests ask for, with Roost's defaults.
func ask(connections int) Ask {
	return Ask{Connections: connections, Reserved: 200, MaxConnections: 10_000,
		Memory: sizing.Bounds{Loops: 2, QueueBytes: 4 << 20, QueuedBytes: 256 << 20, BroadcastBytes: 32 << 20}}
}

func (r Report) find(t *testing.T, name string) Finding {
	t.Helper()
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("there is no finding %q", name)
	}
	return r.Findings[i]
}

// states are the names of the findings in a state.
func (r Report) states(state State) (names []string) {
	for _, f := range r.Findings {
		if f.State == state {
			names = append(names, f.Name)
		}
	}
	return names
}

// WS_MAX_PENDING_BYTES bounds three things, each by itself: all are judged, and the advice leaves room for all.
func TestPendingBytesAreJudgedThreeTimes(t *testing.T) {
	t.Parallel()
	want := ask(10_000)
	want.Memory.PendingBytes = 32 << 20
	if f := Judge(ReadHost(bareMetal().fs(), 2), want).find(t, "pending handshakes"); f.State != OK || f.Found != "96 MiB" {
		t.Errorf("it finds %s, %s", f.Found, f.State)
	}
	have := sizing.Memory(10_000) + 100<<20 // enough for one of them, and its garbage
	tight := container().with(files{"sys/fs/cgroup/memory.max": fmt.Sprintln(have)})
	f := Judge(ReadHost(tight.fs(), 2), want).find(t, "pending handshakes")
	if f.State != Warn || len(f.Fixes) != 1 || f.Fixes[0].Line != fmt.Sprintf("WS_MAX_PENDING_BYTES=%d", uint64(100<<20)/4/3) {
		t.Errorf("with too little memory it is %s, and advises %v", f.State, f.Fixes)
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		host      files
		holds     int
		firstWall string
		short     []string
		unknown   int
	}{
		"bare metal": {bareMetal(), 1_846_153, "processors", nil, 0},
		"small VM": {smallVM(), 3653, "open files", []string{"open files", "one process's files", "all processes' files",
			"epoll watches", "memory", "buffers of all sockets", "connection tracking"}, 0},
		"container":         {container(), 30_247, "control group's memory", []string{"control group's memory"}, 0},
		"old container":     {oldContainer(), 30_247, "control group's memory", []string{"control group's memory"}, 0},
		"nothing readable":  {closed(), 1_846_153, "processors", nil, 13},
		"limits unreadable": {bareMetal().with(files{"proc/self/limits": unreadable}), 1_846_153, "processors", nil, 1},
		"memory unreadable": {bareMetal().with(files{"proc/meminfo": unreadable}), 1_846_153, "processors", nil, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Judge(ReadHost(tt.host.fs(), 2), ask(100_000))
			if r.Holds != tt.holds || r.FirstWall != tt.firstWall || r.OK != (len(tt.short) == 0 && !strings.HasSuffix(name, "readable")) {
				t.Errorf("holds %d, ok %v: %s is the first; want %d: %s", r.Holds, r.OK, r.FirstWall, tt.holds, tt.firstWall)
			}
			if got := r.states(Short); !slices.Equal(got, tt.short) {
				t.Errorf("short are %q, want %q", got, tt.short)
			}
			if got := r.states(Unknown); len(got) != tt.unknown {
				t.Errorf("unknown are %q, want %d", got, tt.unknown)
			}
		})
	}
}

// Each limit, at its edge: what holds, and one less.
func TestLimits(t *testing.T) {
	t.Parallel()
	const sys = "proc/sys/"
	tests := []struct {
		name      string
		file      string
		enough    string
		too       string
		fix       string
		state     State // with too little
		ofAnother func(*Ask)
	}{
		{"open files", "proc/self/limits", limitsFile("1024", "100712"), limitsFile("1024", "100711"), "LimitNOFILE=131072", Short, nil},
		{"open files", "proc/self/limits", limitsFile("1024", "unlimited"), limitsFile("1024", "1024"), "--ulimit nofile=131072", Short, nil},
		{"one process's files", sys + "fs/nr_open", "100712", "100711", "fs.nr_open = 131072", Short, nil},
		{"all processes' files", sys + "fs/file-max", "105832", "105831", "fs.file-max = 262144", Short, nil},
		{"epoll watches", sys + "fs/epoll/max_user_watches", "100200", "100199", "fs.epoll.max_user_watches = 131072", Short, nil},
		{"memory", "proc/meminfo", "MemAvailable: 715536 kB", "MemAvailable: 715535 kB", "memory: 787 MiB available", Short, nil},
		{"control group's memory", "sys/fs/cgroup/memory.max", "732708864", "732708863", "MemoryMax=787M", Short, nil},
		{"control group's memory", "sys/fs/cgroup/memory.high", "max", "100000", "--memory 787m", Short, nil},
		{"slow clients", "sys/fs/cgroup/memory.max", "1001144320", "1001144319", "WS_MAX_QUEUED_BYTES=134217727", Warn, nil},
		{"buffers of all sockets", sys + "net/ipv4/tcp_mem", "100000 100000 100000", "10000 20000 24999",
			"net.ipv4.tcp_mem = 100000 200000 400000", Short, nil},
		{"buffers of all sockets", sys + "net/ipv4/tcp_mem", "1 100000 200000", "1 99999 900000",
			"net.ipv4.tcp_mem = 100000 200000 900000", Warn, nil},
		{"send buffer", sys + "net/ipv4/tcp_wmem", "4096 16384 1048576", "4096 16384 1048575", "net.ipv4.tcp_wmem = 4096 16384 4194304", Warn, nil},
		{"accept queue", sys + "net/core/somaxconn", "32768", "32767", "net.core.somaxconn = 32768", Warn, nil},
		{"connection tracking", sys + "net/netfilter/nf_conntrack_max", "106666", "106665",
			"net.netfilter.nf_conntrack_max = 131072", Short, nil},
		{"connection tracking", sys + "net/netfilter/nf_conntrack_max", "213333", "213332",
			"net.netfilter.nf_conntrack_max = 262144", Short, func(a *Ask) { a.ProxyAddresses = 1 }},
		{"source ports", sys + "net/ipv4/ip_local_port_range", "15536 65535", "15537 65535",
			"net.ipv4.ip_local_port_range = 10240 65535", Short, func(a *Ask) { a.ProxyAddresses = 2 }},
		{"source ports", sys + "net/ipv4/ip_local_reserved_ports", "", "50000,20000-29999", "3 upstream addresses", Short,
			func(a *Ask) { a.ProxyAddresses = 2 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := ask(100_000)
			if tt.ofAnother != nil {
				tt.ofAnother(&want)
			}
			host := bareMetal().with(files{"proc/self/cgroup": "0::/\n"})
			f := Judge(ReadHost(host.with(files{tt.file: tt.enough}).fs(), 2), want).find(t, tt.name)
			if f.State != OK || len(f.Fixes) > 0 {
				t.Errorf("%s is %+v, want ok", tt.enough, f)
			}
			f = Judge(ReadHost(host.with(files{tt.file: tt.too}).fs(), 2), want).find(t, tt.name)
			if f.State != tt.state {
				t.Errorf("%s is %+v, want %s", tt.too, f, tt.state)
			}
			if !slices.ContainsFunc(f.Fixes, func(fix Fix) bool { return strings.HasPrefix(fix.Line, tt.fix) }) {
				t.Errorf("the fixes %v don't have %q", f.Fixes, tt.fix)
			}
		})
	}
}

func TestRoostsOwnLimit(t *testing.T) {
	t.Parallel()
	host := ReadHost(bareMetal().fs(), 2)
	for _, tt := range []struct {
		limit int
		set   bool
		state State
		holds int
	}{
		{10_000, false, Warn, 1_846_153}, // said, but the service may be told otherwise
		{10_000, true, Short, 10_000},
		{100_000, true, OK, 100_000},
		{200_000, false, OK, 1_846_153},
	} {
		want := ask(100_000)
		want.MaxConnections, want.MaxIsSet = tt.limit, tt.set
		r := Judge(host, want)
		if f := r.find(t, "Roost's own limit"); f.State != tt.state || r.Holds != tt.holds {
			t.Errorf("%d, set %v: %+v, holds %d, want %s and %d", tt.limit, tt.set, f, r.Holds, tt.state, tt.holds)
		}
	}
}

// A proxy on the same machine counts only when there is one.
func TestSourcePorts(t *testing.T) {
	t.Parallel()
	host := ReadHost(smallVM().fs(), 2)
	f := Judge(host, ask(100_000)).find(t, "source ports")
	if f.State != Info || f.Wall || !strings.Contains(f.Note, "28,232") {
		t.Errorf("without a proxy: %+v", f)
	}
	want := ask(100_000)
	want.ProxyAddresses = 1
	f = Judge(host, want).find(t, "source ports")
	if f.State != Short || f.Holds != 28_232 || len(f.Fixes) != 2 || !strings.HasPrefix(f.Fixes[1].Line, "2 upstream addresses") {
		t.Errorf("with a proxy: %+v", f)
	}
}

// The worst case counts what the settings bound, and the kernel's bound on buffers.
func TestEverythingFull(t *testing.T) {
	t.Parallel()
	want := ask(100_000)
	r := Judge(ReadHost(bareMetal().fs(), 2), want)
	if f := r.find(t, "everything full at once"); f.State != OK || r.Worst.Descriptors != 125_200 || r.Worst.Of(sizing.Buffers) != 3_000_000*4096 {
		t.Errorf("%+v, %d descriptors, %d of buffers", f, r.Worst.Descriptors, r.Worst.Of(sizing.Buffers))
	}
	host := bareMetal().with(files{"proc/meminfo": "MemAvailable: 8000000 kB\n"})
	if r = Judge(ReadHost(host.fs(), 2), want); r.find(t, "everything full at once").State != Info || !r.OK {
		t.Errorf("with 8 GB: %+v, ok %v", r.find(t, "everything full at once"), r.OK)
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"The worst case of 100,000 connections", "256 MiB  waiting for slow clients (WS_MAX_QUEUED_BYTES)", "125,200 descriptors"} {
		if !strings.Contains(text.String(), words) {
			t.Errorf("it does not say %q:\n%s", words, text.String())
		}
	}
}

func TestReconnecting(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		connections, processors, rate, burst int
		want                                 string
	}{
		{100_000, 2, 0, 0, "3.0 s"},
		{100_000, 2, 5000, 20_000, "16 s (WS_HANDSHAKE_RATE)"},
		{10_000, 2, 5000, 20_000, "0.3 s"},
		{100_000, 1, 50_000, 0, "6.0 s"},
	} {
		got := reconnecting(tt.processors, Ask{Connections: tt.connections, HandshakeRate: tt.rate, HandshakeBurst: tt.burst})
		if got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

func TestWithoutSynCookies(t *testing.T) {
	t.Parallel()
	if f := Judge(ReadHost(smallVM().fs(), 2), ask(100_000)).find(t, "SYN queue"); f.State != Warn {
		t.Errorf("%+v, want a warning", f)
	}
}

func TestNothingCanBeRead(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	r := Judge(ReadHost(closed().fs(), 2), ask(100_000))
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if said := text.String(); !strings.Contains(said, "13 limits can't be read, and may be lower: open files, ") {
		t.Errorf("it does not say so:\n%s", said)
	}
}
