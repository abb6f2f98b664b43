package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const oneRace = `
{"Action":"run","Package":"roost/hub","Test":"TestRaces"}
{"Action":"output","Package":"roost/hub","Test":"TestRaces","Output":"    testing.go:1: race detected during execution of test\n"}
{"Action":"output","Package":"roost/hub","Test":"TestRaces","Output":"--- FAIL: TestRaces (0.00s)\n"}
{"Action":"fail","Package":"roost/hub","Test":"TestRaces"}
{"Action":"output","Package":"roost/hub","Output":"FAIL\troost/hub\t1.0s\n"}
{"Action":"fail","Package":"roost/hub","Elapsed":1}
`

const oneTimeout = `
{"Action":"run","Package":"roost/hub","Test":"TestWaits"}
{"Action":"output","Package":"roost/hub","Test":"TestWaits","Output":"=== RUN   TestWaits\n"}
{"Action":"output","Package":"roost/hub","Test":"TestWaits","Output":"panic: test timed out after 5m0s\n"}
{"Action":"output","Package":"roost/hub","Output":"FAIL\troost/hub\t300.0s\n"}
{"Action":"fail","Package":"roost/hub","Elapsed":300}
`

const oneExit = `
{"Action":"run","Package":"roost/hub","Test":"TestGood"}
{"Action":"pass","Package":"roost/hub","Test":"TestGood"}
{"Action":"output","Package":"roost/hub","Output":"FAIL\troost/hub\t1.0s\n"}
{"Action":"fail","Package":"roost/hub","Elapsed":1}
`

// A few tests that failed, and pass each time they run again, are named as flaky; nothing else is excused.
func TestRetry(t *testing.T) {
	t.Parallel()
	many := ""
	for _, name := range []string{"A", "B", "C", "D"} {
		many += strings.NewReplacer("TestBad", "TestBad"+name, "roost/hub", "roost/"+name).Replace(strings.TrimLeft(oneOfEach, "\n"))
	}
	for _, test := range []struct {
		name, lines string
		fails       bool // when it runs again
		runs        int
		well        bool
	}{
		{"it passes", oneOfEach, false, 1, true},
		{"it fails again", oneOfEach, true, 1, false},
		{"too many", many, false, 0, false},
		{"a data race", oneRace, false, 0, false},
		{"one of each", oneOfEach + strings.TrimLeft(oneRace, "\n"), false, 0, false},
		{"it never ended", oneTimeout, false, 0, false},
		{"no test failed", oneExit, false, 0, false},
		{"a package never ended", oneOfEach + `{"Action":"start","Package":"roost/netpoll"}`, false, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var ran []string
			got := feed(t, test.lines, func(r *report, _ func(time.Duration)) {
				r.retry(5, func(command string) ([]byte, error) {
					ran = append(ran, command)
					if test.fails {
						return []byte("it failed\n"), errors.New("exit status 1")
					}
					return []byte("ok\n"), nil
				})
				if well := r.end(true); well != test.well {
					t.Errorf("all is well: %t, want %t", well, test.well)
				}
			})
			if len(ran) != test.runs {
				t.Errorf("ran %q, want %d commands", ran, test.runs)
			}
			if test.runs > 0 && ran[0] != `go test -race -count=5 -run '^TestBad$/^it'\''s_\(1\+1\)$' roost/hub` {
				t.Errorf("ran %s", ran[0])
			}
			if flaky := strings.Contains(got, "\nflaky: TestBad/it's_(1+1) (0.00s) roost/hub\n    hub_test.go:9: got 3\n"); flaky != test.well {
				t.Errorf("named as flaky: %t, want %t:\n%s", flaky, test.well, got)
			}
		})
	}
}

// The status says whether all is well, anything failed, or a few tests did that pass when they run again.
func TestStatus(t *testing.T) {
	t.Parallel()
	good := strings.ReplaceAll(oneExit, "FAIL", "ok")
	good = good[:strings.LastIndex(good, "{")] + `{"Action":"pass","Package":"roost/hub","Elapsed":1}`
	for name, tt := range map[string]struct {
		lines, again, retry string
		want                int
	}{
		"well":                          {good, "false", "5", 0},
		"a test failed":                 {oneOfEach, "true", "0", 1},
		"it fails again":                {oneOfEach, "false", "5", 1},
		"it passes":                     {oneOfEach, "true", "5", onlyFlaky},
		"one of them was no test":       {oneExit, "true", "5", 1},
		"go test's own status is of it": {"go: no such tool\n", "true", "5", 0},
	} {
		var out strings.Builder
		args := []string{"--packages-last", "--again", tt.again, "--retry", tt.retry}
		if got := run(args, strings.NewReader(tt.lines), &out); got != tt.want {
			t.Errorf("%s: status %d, want %d:\n%s", name, got, tt.want, out.String())
		}
	}
}
