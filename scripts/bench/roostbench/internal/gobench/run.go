package gobench

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Set is which benchmarks to run.
type Set struct {
	Dir      string        // of the module
	Packages []string      // as go test takes them
	Pattern  string        // of the benchmarks' names
	Time     time.Duration // of each
	Limit    time.Duration // of all of them together
}

// Run runs benchmarks, one package after the other. Packages that have none
// give no results.
func Run(ctx context.Context, set Set) ([]Result, error) {
	ctx, cancel := context.WithTimeout(ctx, set.Limit)
	defer cancel()
	args := append([]string{"test", "-p=1", "-run=^$", "-bench=" + set.Pattern, "-benchtime=" + set.Time.String(),
		"-benchmem", "-timeout=" + set.Limit.String()}, set.Packages...)
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = filepath.Clean(set.Dir)
	output, err := command.CombinedOutput()
	results := Parse(string(output))
	if err != nil {
		return results, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, tail(output))
	}
	return results, nil
}

// tail is the end of an output, where go test says what failed.
func tail(output []byte) string {
	const most = 2000
	return strings.TrimSpace(string(output[max(len(output)-most, 0):]))
}
