package doctor

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// mended is a host, and Roost's configuration on it, with the fixes of a report made.
func mended(t *testing.T, host files, want Ask, r Report) (files, Ask, int) {
	t.Helper()
	processors := 2
	for _, f := range r.Findings {
		for _, fix := range f.Fixes {
			change := files{}
			switch fix.Where {
			case Sysctl:
				name, value, ok := strings.Cut(fix.Line, " = ")
				if !ok {
					t.Errorf("%q is no line of sysctl.d(5)", fix.Line)
				}
				change["proc/sys/"+strings.ReplaceAll(name, ".", "/")] = value + "\n"
			case Systemd:
				change = mendUnit(t, host, fix.Line)
			case Environment:
				want = mendEnvironment(t, want, fix.Line)
			case Proxy:
				want.ProxyAddresses = number(t, strings.Fields(fix.Line)[0])
			case Machine:
				if n, ok := strings.CutPrefix(fix.Line, "processors: "); ok {
					processors = number(t, n)
				} else {
					mib := number(t, strings.Fields(strings.TrimPrefix(fix.Line, "memory: "))[0])
					change["proc/meminfo"] = fmt.Sprintf("MemAvailable: %d kB\n", mib<<10)
				}
			case Docker: // says the same as the unit
			default:
				t.Errorf("%q is for nowhere: %q", fix.Line, fix.Where)
			}
			host = host.with(change)
		}
	}
	return host, want, processors
}

func mendUnit(t *testing.T, host files, line string) files {
	t.Helper()
	name, value, _ := strings.Cut(line, "=")
	switch name {
	case "LimitNOFILE":
		return files{"proc/self/limits": limitsFile(value, value)}
	case "MemoryMax":
		content := fmt.Sprintf("%d\n", number(t, strings.TrimSuffix(value, "M"))<<20)
		for _, file := range []string{"sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/memory.max"} {
			if _, there := host[file]; there {
				return files{file: content}
			}
		}
	}
	t.Errorf("%q can't be made", line)
	return nil
}

func mendEnvironment(t *testing.T, want Ask, line string) Ask {
	t.Helper()
	name, value, _ := strings.Cut(line, "=")
	switch name {
	case "WS_MAX_CONNECTIONS":
		want.MaxConnections, want.MaxIsSet = number(t, value), true
	case "WS_MAX_QUEUED_BYTES":
		want.Memory.QueuedBytes = number(t, value)
	case "WS_MAX_PENDING_BYTES":
		want.Memory.PendingBytes = number(t, value)
	case "WS_MAX_BROADCAST_BYTES":
		want.Memory.BroadcastBytes = number(t, value)
	default:
		t.Errorf("%q can't be set", line)
	}
	return want
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Errorf("%q is no number", s)
	}
	return n
}

// A host that follows doctor's advice holds the connections, and doctor warns of nothing more.
func TestFixesFix(t *testing.T) {
	t.Parallel()
	hosts := map[string]files{
		"bare metal": bareMetal(), "small VM": smallVM(), "container": container(), "old container": oldContainer(),
		"just enough files": bareMetal().with(files{"proc/self/limits": limitsFile("1024", "4096"), "proc/sys/fs/nr_open": "1048576\n"}),
	}
	for name, host := range hosts {
		for _, connections := range []int{1, 1000, 5000, 10_000, 65_536, 100_000, 250_000, 1_000_000, 3_000_000} {
			for _, addresses := range []int{0, 1, 3} {
				t.Run(fmt.Sprintf("%s/%d/%d", name, connections, addresses), func(t *testing.T) {
					t.Parallel()
					want := ask(connections)
					want.ProxyAddresses = addresses
					first := Judge(ReadHost(host.fs(), 2), want)
					host, want, processors := mended(t, host, want, first)
					// Queues are judged by the memory that there is.
					second := Judge(ReadHost(host.fs(), processors), want)
					host, want, _ = mended(t, host, want, second)
					r := Judge(ReadHost(host.fs(), processors), want)
					if !second.OK || !r.OK || len(r.states(Short)) > 0 || len(r.states(Warn)) > 0 {
						t.Errorf("holds %d; short are %q, warnings are %q", r.Holds, r.states(Short), r.states(Warn))
					}
					if h := ReadHost(host.fs(), processors); h.nrOpen.err == nil && h.openFiles.err == nil && h.openFiles.at(1) > h.nrOpen.at(0) {
						t.Errorf("a limit of %d open files can't be set: fs.nr_open is %d", h.openFiles.at(1), h.nrOpen.at(0))
					}
				})
			}
		}
	}
}
