package roosttest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// built is the binary of this test run, made when the first test asks for it.
var built = sync.OnceValues(func() (string, error) {
	if RaceEnabled {
		return build("roost-race", nil, "-race")
	}
	return build("roost", nil)
})

// Binary returns the path of the roost program. All packages' tests share one, in bin/roosttest, which go build makes
// again only when a source has changed.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatalf("roosttest: %v", err)
	}
	return path
}

// BinaryWith is the program built with a tag, without the race detector. It is shared and kept as Binary is.
func BinaryWith(t testing.TB, tag string) string {
	t.Helper()
	path, err := build("roost-"+tag, nil, "-tags", tag)
	if err != nil {
		t.Fatalf("roosttest: %v", err)
	}
	return path
}

// BinaryFor is the program for another system, darwin/arm64 say. It is shared and kept as Binary is.
func BinaryFor(t testing.TB, system, architecture string) string {
	t.Helper()
	path, err := build("roost-"+system+"-"+architecture, []string{"GOOS=" + system, "GOARCH=" + architecture, "CGO_ENABLED=0"})
	if err != nil {
		t.Fatalf("roosttest: %v", err)
	}
	return path
}

// build builds the program as bin/roosttest/name: go build links nothing where that is what it would link.
func build(name string, env []string, flags ...string) (string, error) {
	module, err := findModule()
	if err != nil {
		return "", err
	}
	if err := noteSources(module); err != nil {
		return "", err
	}
	dir := filepath.Join(module, "bin", "roosttest")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	path := filepath.Join(dir, name)
	command := exec.Command("go", slices.Concat([]string{"build", "-buildvcs=false"}, flags, []string{"-o", path, "roost/cmd/roost"})...)
	command.Env = append(os.Environ(), env...)
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return path, nil
}

// findModule returns the directory of go.mod.
func findModule() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == "/" {
			return "", fmt.Errorf("no go.mod above the test's directory")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

// noteSources looks at each source of the program: go test keeps a result until a file that the test has looked at changes,
// and does not know what the program is built from.
func noteSources(module string) error {
	return filepath.WalkDir(module, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // another test's file
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "bin" || entry.Name() == "scripts" || entry.Name() == "docs" || entry.Name() == "node_modules" || entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".git")):
			return filepath.SkipDir
		case entry.IsDir() || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		if _, err = os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// lock waits until no other test process builds.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		if err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { _ = file.Close() }, nil
}
