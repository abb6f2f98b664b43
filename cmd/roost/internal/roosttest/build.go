package roosttest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// built is the binary of this test run, made when the first test asks for it.
var built = sync.OnceValues(build)

// Main runs the tests of a package that uses Binary, and removes the binary afterwards. It returns the exit code.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "roosttest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "roosttest:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Setenv(dirVariable, dir); err != nil {
		fmt.Fprintln(os.Stderr, "roosttest:", err)
		return 1
	}
	return m.Run()
}

// dirVariable tells build where Main wants the binary.
const dirVariable = "ROOSTTEST_DIR"

// Binary returns the path of the roost program.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatalf("roosttest: %v", err)
	}
	return path
}

func build() (string, error) {
	dir := os.Getenv(dirVariable)
	if dir == "" {
		return "", fmt.Errorf("TestMain has to call roosttest.Main")
	}
	path := filepath.Join(dir, "roost")
	args := []string{"build", "-buildvcs=false", "-o", path}
	if RaceEnabled {
		args = append(args, "-race")
	}
	output, err := exec.Command("go", append(args, "roost/cmd/roost")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return path, nil
}
