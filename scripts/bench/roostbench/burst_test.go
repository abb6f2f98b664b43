package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roost/bench/roostbench/internal/netem"
	"roost/bench/roostbench/internal/report"
)

// Small bursts come whole from Roost, near and far, and clients of every kind are looked at.
func TestBurstsOfRoost(t *testing.T) {
	t.Parallel()
	roost, file := buildRoost(t), filepath.Join(t.TempDir(), "report.json")
	only := "--only=bursts,readers"
	far := netem.Command(t.Context(), "true").Run() == nil
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		far = false
	}
	if far {
		only += ",far"
	}
	// A busy machine may come late to those that read nothing: they are looked at before they are ended.
	args := []string{"burst", "--program=" + roost, "--env=WS_WRITE_WAIT=5m", only, "--counts=20,50", "--sizes=200", "--connections=1,3", "--readers=2", "--stalled=2",
		"--stalled-count=3000", "--hold=100ms", "--end=100ms", "--others=3", "--others-rate=100", "--far=1", "--json=" + file, "--quiet"}
	run := try
	if far { // it runs itself in a namespace, which this test binary is no program for
		args = append(args, insideFlag)
		run = func(t *testing.T, args ...string) (int, string) { return tryIn(t, args) }
	}
	var r report.Report
	for range 3 { // a busy machine may stand still for so long that Roost takes the link to Redis for lost
		code, said := run(t, args...)
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, said)
		}
		var err error
		if r, err = report.ReadFile(file); err != nil {
			t.Fatal(err)
		}
		if missing, _ := r.Value(figOthersMissing); missing == 0 {
			break
		}
	}
	for _, whole := range []string{"share of 20 × 200 B at 1", "share of 50 × 200 B at 3"} {
		expect(t, r, whole, 100, 100)
	}
	expect(t, r, figOthersMissing, 0, 0)
	expect(t, r, figReaders+"full speed", 1, 100)
	expect(t, r, figReaders+"500 B/s", 0.1, 100)
	expect(t, r, figKernel, 4, 10_000)
	expect(t, r, figEndedShare, 0, 100)
	expect(t, r, figOthersStalled, 0.001, 60_000)
	if far {
		expect(t, r, figFar+farCases()[0].String(), 1, 100)
	}
	for _, arg := range r.Args {
		if arg == insideFlag {
			t.Errorf("the report has %q", r.Args)
		}
	}
}

// insideVariable has the arguments for the copy of this test binary that runs in a namespace of its own.
const insideVariable = "ROOSTBENCH_TEST_INSIDE"

func tryIn(t *testing.T, args []string) (int, string) {
	t.Helper()
	cmd := netem.Command(t.Context(), os.Args[0], "-test.run=^TestBurstInside$")
	cmd.Env = append(os.Environ(), insideVariable+"="+strings.Join(args, "\n"))
	said, err := cmd.CombinedOutput()
	if err != nil {
		return 1, err.Error() + "\n" + string(said)
	}
	return 0, string(said)
}

func TestBurstInside(t *testing.T) {
	args := os.Getenv(insideVariable)
	if args == "" {
		t.Skip("TestBurstsOfRoost runs it")
	}
	if code, said := try(t, strings.Split(args, "\n")...); code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
}

func TestBurstRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ arg, want string }{
		"a large burst":     {"--counts=10,20001", "--counts"},
		"large messages":    {"--sizes=16001", "--sizes"},
		"no connections":    {"--connections=0", "--connections"},
		"too many stalled":  {"--stalled=101", "--stalled"},
		"a long hold":       {"--hold=2m", "--hold"},
		"an unknown part":   {"--only=near", "bursts"},
		"a negative number": {"--far=-1", "--far"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if code, said := try(t, "burst", "--program=x", tt.arg); code != 1 || !strings.Contains(said, tt.want) {
				t.Errorf("exit code %d, %s", code, said)
			}
		})
	}
}
