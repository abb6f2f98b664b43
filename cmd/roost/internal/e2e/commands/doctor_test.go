package commands

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"roost/cmd/roost/internal/doctor"
	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// examine runs roost doctor where a process may open so many files.
func examine(t *testing.T, descriptors int, env roosttest.Env, args ...string) (code int, process *roosttest.Process) {
	t.Helper()
	process = roosttest.Run(t, roosttest.Command{
		Args: append([]string{"doctor"}, args...), Env: env, Wrap: []string{"prlimit", fmt.Sprintf("--nofile=%d", descriptors)},
	})
	return process.Wait(), process
}

// readReport reads what --json printed.
func readReport(t *testing.T, process *roosttest.Process) (r doctor.Report) {
	t.Helper()
	if err := json.Unmarshal([]byte(process.Log.String()), &r); err != nil {
		t.Fatalf("--json printed %q: %v", process.Log.String(), err)
	}
	return r
}

// The server gets as many descriptors on this host as doctor says.
func TestDoctorAgreesWithTheServer(t *testing.T) {
	t.Parallel()
	const descriptors = 3000
	env := roosttest.ServerEnv(e2e.NoRedis{}, roosttest.Env{"WS_MAX_CONNECTIONS": "100000"})
	code, process := examine(t, descriptors, env, "--json")
	r := readReport(t, process)
	if code != 1 || r.OK || r.FirstWall != "open files" || r.Connections != 100_000 {
		t.Errorf("ended with %d: ok %v, %s is the first wall, asked for %d", code, r.OK, r.FirstWall, r.Connections)
	}
	server := roosttest.Launch(t, e2e.NoRedis{}, env, "prlimit", fmt.Sprintf("--nofile=%d", descriptors))
	line := server.WaitLine("the limit on open files allows fewer connections than WS_MAX_CONNECTIONS: raise it (ulimit -n, LimitNOFILE=)")
	if got := line["connections"]; got != float64(r.Holds) {
		t.Errorf("the server takes %v connections, doctor says %d", got, r.Holds)
	}
}

func TestDoctorSaysHowToGoOn(t *testing.T) {
	t.Parallel()
	code, process := examine(t, 3000, nil)
	said := process.Log.String()
	for _, words := range []string{
		"short", "open files (/proc/self/limits)", "open files is the first wall", "To hold 100,000:\n",
		"LimitNOFILE=131072\n", "--ulimit nofile=131072\n", "WS_MAX_CONNECTIONS=100000\n",
	} {
		if !strings.Contains(said, words) {
			t.Errorf("it does not say %q:\n%s", words, said)
		}
	}
	if code != 1 {
		t.Errorf("ended with %d, want 1", code)
	}
}

func TestDoctorIsContent(t *testing.T) {
	t.Parallel()
	code, process := examine(t, 3000, nil, "--connections=1000", "--json")
	if r := readReport(t, process); code != 0 || !r.OK || r.Holds < 1000 {
		t.Errorf("ended with %d: %+v, want that 1000 connections are held", code, r)
	}
}

// Without a number it is asked for what the server would take.
func TestDoctorKnowsWhatIsWanted(t *testing.T) {
	t.Parallel()
	code, process := examine(t, 3000, roosttest.Env{"WS_MAX_CONNECTIONS": "1200"}, "--json")
	if r := readReport(t, process); code != 0 || r.Connections != 1200 || r.Holds != 1200 {
		t.Errorf("ended with %d: asked for %d, holds %d", code, r.Connections, r.Holds)
	}
}

// The wall of a proxy on this machine, with two addresses twice as high.
func TestDoctorBehindAProxy(t *testing.T) {
	t.Parallel()
	holds := make(map[string]int)
	for _, addresses := range []string{"1", "2"} {
		_, process := examine(t, 3000, nil, "--behind-proxy="+addresses, "--json")
		for _, f := range readReport(t, process).Findings {
			if f.Name == "source ports" && f.Wall {
				holds[addresses] = f.Holds
			}
		}
	}
	if holds["1"] == 0 || holds["2"] != 2*holds["1"] {
		t.Errorf("they hold %v", holds)
	}
}

func TestDoctorIsAskedWrongly(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		env  roosttest.Env
		args []string
		says string
	}{
		"no number":          {nil, []string{"--connections=many"}, "--connections"},
		"below zero":         {nil, []string{"--behind-proxy=-1"}, "--behind-proxy"},
		"an unknown flag":    {nil, []string{"--cure"}, "--cure"},
		"a wrong variable":   {roosttest.Env{"WS_MAX_CONNECTIONS": "many"}, nil, "WS_MAX_CONNECTIONS"},
		"too many arguments": {nil, []string{"now"}, "now"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, process := examine(t, 3000, tt.env, tt.args...)
			if said := process.Stderr.String(); code != 2 || !strings.Contains(said, tt.says) {
				t.Errorf("ended with %d and said %q, want 2 and %q", code, said, tt.says)
			}
		})
	}
}
