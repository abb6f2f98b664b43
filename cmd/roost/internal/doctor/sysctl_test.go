package doctor

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// settings are those of scripts/roost.sysctl.conf, also of lines that are for some hosts only: those begin with # and
// the name.
func settings(t *testing.T) map[string]string {
	t.Helper()
	content, err := os.ReadFile("../../../../scripts/roost.sysctl.conf")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^[#-]?([a-z0-9_]+(?:\.[a-z0-9_-]+)+) = ([0-9 ]+)$`)
	all := make(map[string]string)
	for text := range strings.Lines(string(content)) {
		text = strings.TrimSuffix(text, "\n")
		if found := line.FindStringSubmatch(text); found != nil {
			all[found[1]] = found[2]
		} else if text != "" && text != "#" && !strings.HasPrefix(text, "# ") {
			t.Errorf("%q is neither a setting nor a comment", text)
		}
	}
	return all
}

// The file sets all that doctor asks of a host for 100,000 connections, and no less of it.
func TestSysctlFileIsEnough(t *testing.T) {
	t.Parallel()
	have := settings(t)
	suggested := make(map[string]bool)
	for _, host := range []files{smallVM(), container(), oldContainer(), bareMetal()} {
		for _, addresses := range []int{0, 2} {
			want := ask(100_000)
			want.ProxyAddresses = addresses
			for _, f := range Judge(ReadHost(host.fs(), 2), want).Findings {
				for _, fix := range f.Fixes {
					if fix.Where == Sysctl {
						name, value, _ := strings.Cut(fix.Line, " = ")
						suggested[name] = true
						checkEnough(t, name, have[name], value)
					}
				}
			}
		}
	}
	for name := range have {
		if name != "net.ipv4.tcp_syncookies" && !suggested[name] {
			t.Errorf("%s is in the file, and no host of the tests needs it", name)
		}
	}
}

// checkEnough compares the numbers of a setting, one by one.
func checkEnough(t *testing.T, name, have, want string) {
	t.Helper()
	has, wants := strings.Fields(have), strings.Fields(want)
	if len(has) != len(wants) {
		t.Errorf("%s is %q in the file, doctor says %q", name, have, want)
		return
	}
	for i := range has {
		a, _ := strconv.Atoi(has[i])
		b, _ := strconv.Atoi(wants[i])
		if a < b {
			t.Errorf("%s is %q in the file, doctor says %q", name, have, want)
		}
	}
}
