package procfs

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is USER_HZ, which is 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

var errUnexpected = errors.New("not what proc(5) says")

// parseStat reads /proc/PID/stat. The program's name, in parentheses, may hold
// spaces and parentheses; utime and stime are fields 14 and 15.
func parseStat(text string, s *Sample) error {
	end := strings.LastIndexByte(text, ')')
	if end < 0 {
		return errUnexpected
	}
	fields := strings.Fields(text[end+1:]) // from field 3 on
	if len(fields) < 13 {
		return errUnexpected
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		return errUnexpected
	}
	s.User, s.System = time.Duration(user)*tick, time.Duration(system)*tick
	return nil
}

// parseStatus reads /proc/PID/status.
func parseStatus(text string, s *Sample) error {
	s.RSS, s.Anon = field(text, "VmRSS:")<<10, field(text, "RssAnon:")<<10
	if s.RSS == 0 {
		return errUnexpected
	}
	return nil
}

// parseRollup reads /proc/PID/smaps_rollup: the same as status, but counted page
// by page. The counters in status may be off by a quarter of a megabyte.
func parseRollup(text string, s *Sample) error {
	s.RSS, s.Anon = field(text, "Rss:")<<10, field(text, "Anonymous:")<<10
	if s.RSS == 0 {
		return errUnexpected
	}
	return nil
}

// parseSchedstat reads the time on CPU from a thread's schedstat.
func parseSchedstat(text string) time.Duration {
	first, _, _ := strings.Cut(text, " ")
	n, _ := strconv.ParseInt(first, 10, 64)
	return time.Duration(n)
}

// parseSockstat reads the line of /proc/net/sockstat about TCP:
// "TCP: inuse 1 orphan 0 tw 155 alloc 1 mem 177", mem in pages.
func parseSockstat(text string, s *Sample) error {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != "TCP:" {
			continue
		}
		for i := 1; i+1 < len(words); i += 2 {
			n, _ := strconv.ParseInt(words[i+1], 10, 64)
			switch words[i] {
			case "alloc":
				s.TCPSockets = n
			case "mem":
				s.TCPMemory = n * int64(os.Getpagesize())
			}
		}
		return nil
	}
	return errUnexpected
}

// parseMeminfo reads /proc/meminfo.
func parseMeminfo(text string, s *Sample) error {
	s.KernelMemory = field(text, "Slab:") << 10
	return nil
}

// field returns the number behind a name that begins a line, or 0.
func field(text, name string) int64 {
	for line := range strings.Lines(text) {
		rest, found := strings.CutPrefix(line, name)
		if !found {
			continue
		}
		if words := strings.Fields(rest); len(words) > 0 {
			n, _ := strconv.ParseInt(words[0], 10, 64)
			return n
		}
	}
	return 0
}
