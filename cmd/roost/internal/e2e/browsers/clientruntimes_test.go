package browsers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// TestClientRuntimes runs the client outside of browsers, against a real server, whose connections are cut meanwhile. The
// program ends by itself when the connection is closed.
func TestClientRuntimes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts programs")
	}
	for name, arguments := range map[string][]string{"node": nil, "bun": nil, "deno": {"run", "--quiet", "--allow-all", "--no-check"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program, err := clientTool(name)
			if err != nil {
				t.Skip(err)
			}
			modules, _ := filepath.Abs(e2e.Root + "/bin/client/node_modules")
			if _, err := os.Stat(modules + "/ws"); name == "node" && err != nil {
				t.Skip("no ws is installed (scripts/client-deps.sh), and node may have no WebSocket")
			}
			redis, server := e2e.Start(t, nil)
			relay := roosttest.StartRelay(t, server.WS)
			command := exec.CommandContext(t.Context(), program, append(arguments, e2e.Root+"/client/test/runtime.js", "ws://"+relay.Addr+"/ws", roosttest.Token(t, "alice"))...)
			command.Env = append(os.Environ(), "NODE_PATH="+modules)
			var said roosttest.Log
			command.Stdout, command.Stderr = &said, &said
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			wait := func(want ...string) {
				t.Helper()
				roosttest.WaitFor(t, strings.Join(want, ", "), func() bool {
					return slices.Equal(strings.Split(strings.TrimSpace(said.String()), "\n"), want)
				})
			}
			t.Cleanup(func() { t.Logf("%s said %q", name, said.String()) })
			wait("open", "sync first")
			e2e.Notify(redis, "alice", `{"type":"n","payload":"grüße 😀"}`)
			wait("open", "sync first", "message grüße 😀")
			relay.Cut(server.WS)
			back := []string{"open", "sync first", "message grüße 😀", "waiting", "connecting", "open", "sync reconnect"}
			wait(back...)
			e2e.Notify(redis, "alice", `{"type":"n","payload":"bye"}`)
			wait(append(back, "message bye", "closed", "end")...)
			if err := command.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// clientTool returns a program that scripts/client-deps.sh has installed, or that is in the PATH.
func clientTool(name string) (string, error) {
	installed, err := filepath.Abs(e2e.Root + "/bin/client/node_modules/.bin/" + name)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(installed); err == nil {
		return installed, nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("no %s is installed (scripts/client-deps.sh): not tried with it", name)
	}
	return path, nil
}
