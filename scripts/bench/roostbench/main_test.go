package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// try runs a command line and returns its exit code and what it said.
func try(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var said bytes.Buffer
	code := run(&environment{ctx: t.Context(), args: args, stdout: &said, stderr: &said})
	return code, said.String()
}

// built is the server, built when the first test asks for it.
var built = sync.OnceValues(build)

// TestMain is the program where a command starts it again, for clients of their own process.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		os.Exit(run(&environment{ctx: context.Background(), args: os.Args[1:], stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}))
	}
	os.Exit(m.Run())
}

// buildRoost builds the server, which is another module, and returns the program. The test is skipped where there is no
// Redis for it.
func buildRoost(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip(err)
	}
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// build keeps the program beside those of other tests: go build links nothing where that is what it would link.
func build() (string, error) {
	module, err := filepath.Abs("../../..")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(module, "bin", "roosttest")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	for err = syscall.EINTR; err == syscall.EINTR; { // until no other test process builds
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		return "", fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	path := filepath.Join(dir, "roost-bench")
	command := exec.Command("go", "build", "-buildvcs=false", "-o", path, "./cmd/roost")
	command.Dir = module
	if said, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, said)
	}
	return path, nil
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		want string
	}{
		"another machine":           {[]string{"idle", "--url=ws://192.0.2.1:8081/ws"}, "not a loopback address"},
		"a name":                    {[]string{"idle", "--url=ws://example.com:8081/ws"}, "127.0.0.1:8081"},
		"TLS":                       {[]string{"abuse", "--url=wss://127.0.0.1:8081/ws"}, "ws://127.0.0.1:8081/ws"},
		"another machine's Redis":   {[]string{"deliver", "--redis=192.0.2.1:6379"}, "not a loopback address"},
		"sizes turned round":        {[]string{"idle", "--sizes=10,5"}, "above the one before"},
		"one size":                  {[]string{"idle", "--sizes=0,5"}, "two that are not 0"},
		"a big burst":               {[]string{"idle", "--burst=1001"}, "1000"},
		"another machine's metrics": {[]string{"idle", "--metrics=http://192.0.2.1/metrics"}, "not a"},
		"too many":                  {[]string{"deliver", "--connections=19001"}, "19000"},
		"too long":                  {[]string{"deliver", "--duration=31m"}, "30m"},
		"endless rounds":            {[]string{"connect", "--rounds=101"}, "100"},
		"a big payload":             {[]string{"deliver", "--pad=16385"}, "16384"},
		"an odd pattern":            {[]string{"deliver", "--users=some"}, "spread"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, said := try(t, append(tt.args, "--pid=1", "--secret=s")...)
			if code == 0 || !strings.Contains(said, tt.want) {
				t.Errorf("exit code %d, %s", code, said)
			}
		})
	}
}

func TestScaleRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		want string
	}{
		"another machine's Redis":    {[]string{"--redis=192.0.2.1:6379"}, "not a loopback address"},
		"too many for the processes": {[]string{"--connections=40000", "--processes=2"}, "18000 each"},
		"too many processes":         {[]string{"--processes=17"}, "from 1 to 16"},
		"no rate":                    {[]string{"--notify-rate=0"}, "from 1 to"},
		"too long":                   {[]string{"--hold=31m"}, "30m"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, said := try(t, append([]string{"scale", "--program=x", "--secret=s"}, tt.args...)...)
			if code == 0 || !strings.Contains(said, tt.want) {
				t.Errorf("exit code %d, %s", code, said)
			}
		})
	}
}
