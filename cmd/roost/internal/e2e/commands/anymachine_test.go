package commands

import (
	"fmt"
	"os"
	"os/exec"
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
			roosttest.BinaryFor(t, system, architecture)
			vet := exec.Command("go", "vet", "roost/cmd/roost")
			vet.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+architecture, "CGO_ENABLED=0")
			if said, err := vet.CombinedOutput(); err != nil {
				t.Errorf("go vet: %v\n%s", err, said)
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
	program := roosttest.BinaryWith(t, "client")
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
		// Publishing has five seconds, and a question to the server ten, for which a busy machine may stand still.
		roosttest.WaitFor(t, fmt.Sprintf("roost %v to work", args), func() bool {
			p := run(args...)
			code := p.Wait()
			if code != 0 {
				t.Logf("roost %v: %s", args, p.Stderr.String())
			}
			return code == 0
		})
	}
	roosttest.WaitFor(t, "the notification", func() bool { return strings.Contains(listener.Log.String(), `{"type":"greeting"`) })
	listener.Stop()
}
