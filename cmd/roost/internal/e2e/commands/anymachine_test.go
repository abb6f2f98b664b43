package commands

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// TestBuildsForOtherSystems builds the program without a server for systems that have none.
func TestBuildsForOtherSystems(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles everything for other systems")
	}
	t.Parallel()
	for _, target := range []string{"darwin/arm64", "windows/amd64"} {
		t.Run(target, func(t *testing.T) { // one after the other: each has the processors to itself
			system, architecture, _ := strings.Cut(target, "/")
			for _, args := range [][]string{
				{"build", "-buildvcs=false", "-o", os.DevNull, "roost/cmd/roost"},
				{"vet", "roost/cmd/roost"},
			} {
				command := exec.Command("go", args...)
				command.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+architecture, "CGO_ENABLED=0")
				if said, err := command.CombinedOutput(); err != nil {
					t.Errorf("go %s: %v\n%s", args[0], err, said)
				}
			}
		})
	}
}

// TestWithoutServer runs the program as other systems have it: with all commands but those that need a server here.
func TestWithoutServer(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a program")
	}
	t.Parallel()
	program := filepath.Join(t.TempDir(), "roost")
	if said, err := exec.Command("go", "build", "-buildvcs=false", "-tags", "client", "-o", program, "roost/cmd/roost").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, said)
	}
	redis, server := e2e.Start(t, nil)
	env := roosttest.ServerEnv(redis, roosttest.Env{
		"WS_PORT": server.WS[strings.LastIndexByte(server.WS, ':')+1:], "HTTP_PORT": server.HTTP[strings.LastIndexByte(server.HTTP, ':')+1:],
	})
	run := func(args ...string) *roosttest.Process {
		return roosttest.Run(t, roosttest.Command{Program: program, Args: args, Env: env})
	}
	for _, args := range [][]string{nil, {"serve"}, {"demo"}, {"demo", "--user", "bob"}, {"doctor", "--json"}} {
		p := run(args...)
		code, said := p.Wait(), p.Stderr.String()
		if code != 1 || !strings.Contains(said, "Linux") || strings.Count(said, "\n") > 2 {
			t.Errorf("roost %v: ended with %d, saying %q", args, code, said)
		}
	}
	listener := run("listen", "alice")
	server.WaitLine("connected", "user_id", "alice")
	for _, args := range [][]string{
		{"token", "alice"}, {"publish", "alice", `{"type":"greeting"}`}, {"why", "alice"}, {"health"}, {"version"}, {"config"}, {"help"},
	} {
		if p := run(args...); p.Wait() != 0 {
			t.Errorf("roost %v: %s", args, p.Stderr.String())
		}
	}
	roosttest.WaitFor(t, "the notification", func() bool { return strings.Contains(listener.Log.String(), `{"type":"greeting"`) })
	listener.Stop()
}
