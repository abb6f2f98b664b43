package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// feed has a report take lines of go test -json, and returns what it prints.
func feed(t *testing.T, lines string, then func(r *report, pass func(time.Duration))) string {
	t.Helper()
	var out bytes.Buffer
	now := time.Unix(0, 0)
	r := newReport(&out, "go test -race", func() time.Time { return now })
	for line := range strings.Lines(strings.TrimLeft(lines, "\n")) {
		r.line([]byte(line))
	}
	then(r, func(d time.Duration) { now = now.Add(d) })
	return out.String()
}

const oneOfEach = `
{"Action":"start","Package":"roost/hub"}
{"Action":"run","Package":"roost/hub","Test":"TestGood"}
{"Action":"output","Package":"roost/hub","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"roost/hub","Test":"TestGood","Output":"    hub_test.go:1: good for nothing\n"}
{"Action":"pass","Package":"roost/hub","Test":"TestGood"}
{"Action":"run","Package":"roost/hub","Test":"TestAway"}
{"Action":"output","Package":"roost/hub","Test":"TestAway","Output":"=== RUN   TestAway\n"}
{"Action":"output","Package":"roost/hub","Test":"TestAway","Output":"    hub_test.go:7: no browser: install one\n"}
{"Action":"output","Package":"roost/hub","Test":"TestAway","Output":"--- SKIP: TestAway (0.00s)\n"}
{"Action":"skip","Package":"roost/hub","Test":"TestAway"}
{"Action":"run","Package":"roost/hub","Test":"TestBad"}
{"Action":"run","Package":"roost/hub","Test":"TestBad/it's_(1+1)"}
{"Action":"output","Package":"roost/hub","Test":"TestBad/it's_(1+1)","Output":"    hub_test.go:9: got 3\n"}
{"Action":"output","Package":"roost/hub","Test":"TestBad/it's_(1+1)","Output":"    --- FAIL: TestBad/it's_(1+1) (0.00s)\n"}
{"Action":"fail","Package":"roost/hub","Test":"TestBad/it's_(1+1)"}
{"Action":"output","Package":"roost/hub","Test":"TestBad","Output":"--- FAIL: TestBad (0.00s)\n"}
{"Action":"fail","Package":"roost/hub","Test":"TestBad"}
{"Action":"output","Package":"roost/hub","Output":"FAIL\n"}
{"Action":"output","Package":"roost/hub","Output":"FAIL\troost/hub\t1.234s\n"}
{"Action":"fail","Package":"roost/hub","Elapsed":1.234}
go: downloading something
{"Action":"start","Package":"roost/wsproto"}
{"Action":"output","Package":"roost/wsproto","Output":"ok  \troost/wsproto\t(cached)\n"}
{"Action":"pass","Package":"roost/wsproto","Elapsed":0}
{"Action":"start","Package":"roost/none"}
{"Action":"output","Package":"roost/none","Output":"?   \troost/none\t[no test files]\n"}
{"Action":"skip","Package":"roost/none","Elapsed":0}
`

func TestReport(t *testing.T) {
	t.Parallel()
	got := feed(t, oneOfEach, func(r *report, pass func(time.Duration)) {
		pass(90 * time.Second)
		if r.end(true) {
			t.Error("all is well, although a test failed")
		}
	})
	want := `    --- FAIL: TestBad/it's_(1+1) (0.00s)
    hub_test.go:9: got 3
--- FAIL: TestBad (0.00s)
FAIL
FAIL	roost/hub	1.234s
go: downloading something
ok  	roost/wsproto	(cached)

1 tests passed in 1m30s; skipped:
  TestAway
      no browser: install one
failed; to run one again:
  go test -race -count=1 -run '^TestBad$/^it'\''s_\(1\+1\)$' roost/hub

FAIL	roost/hub	1.234s
ok  	roost/wsproto	(cached)

failed tests:
--- FAIL: TestBad/it's_(1+1) (0.00s) roost/hub
    hub_test.go:9: got 3
FAIL
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The line names the test that has run longest, or its subtest; before any test runs, it says that Go builds.
func TestMeanwhile(t *testing.T) {
	t.Parallel()
	got := feed(t, "", func(r *report, pass func(time.Duration)) {
		pass(15 * time.Second)
		r.meanwhile()
		r.line([]byte(`{"Action":"run","Package":"roost/hub","Test":"TestLong"}`))
		r.line([]byte(`{"Action":"run","Package":"roost/hub","Test":"TestLong/part"}`))
		pass(10 * time.Second)
		r.line([]byte(`{"Action":"run","Package":"roost/hub","Test":"TestShort"}`))
		r.line([]byte(`{"Action":"run","Package":"roost/hub","Test":"TestPaused"}`))
		r.line([]byte(`{"Action":"pause","Package":"roost/hub","Test":"TestPaused"}`))
		r.line([]byte(`{"Action":"pass","Package":"roost/hub","Test":"TestShort"}`))
		pass(5 * time.Second)
		r.meanwhile()
	})
	want := `   … after 15s: test programs are built; with nothing built before that takes minutes
   … after 30s: 0 packages have ended, 1 tests have passed; running: roost/hub (TestLong/part, for 15s)
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWhatIsBroken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, lines, says string }{
		{"it does not compile", `
{"ImportPath":"roost/hub [roost/hub.test]","Action":"build-output","Output":"hub/x_test.go:3:1: syntax error\n"}
{"ImportPath":"roost/hub [roost/hub.test]","Action":"build-fail"}
{"Action":"start","Package":"roost/hub"}
{"Action":"output","Package":"roost/hub","Output":"FAIL\troost/hub [build failed]\n"}
{"Action":"fail","Package":"roost/hub","Elapsed":0,"FailedBuild":"roost/hub [roost/hub.test]"}
`, "syntax error\nFAIL\troost/hub [build failed]\n"},
		{"it takes too long", oneTimeout, "--- FAIL: TestWaits roost/hub\npanic: test timed out after 5m0s\n"},
		{"that is said behind a test that is well", `
{"Action":"run","Package":"roost/hub","Test":"TestWaits"}
{"Action":"output","Package":"roost/hub","Test":"TestWaits","Output":"=== RUN   TestWaits\n"}
{"Action":"run","Package":"roost/hub","Test":"TestGood"}
{"Action":"output","Package":"roost/hub","Test":"TestGood","Output":"--- PASS: TestGood (0.00s)\n"}
{"Action":"output","Package":"roost/hub","Test":"TestGood","Output":"panic: test timed out after 5m0s\n"}
{"Action":"pass","Package":"roost/hub","Test":"TestGood"}
{"Action":"output","Package":"roost/hub","Output":"FAIL\troost/hub\t300.0s\n"}
{"Action":"fail","Package":"roost/hub","Elapsed":300}
`, "\nfailed tests:\n--- FAIL: TestWaits roost/hub\n--- FAIL: roost/hub\npanic: test timed out after 5m0s\n"},
		{"how to run that again", `
{"Action":"run","Package":"roost/hub","Test":"TestWaits"}
{"Action":"output","Package":"roost/hub","Test":"TestWaits","Output":"panic: test timed out after 5m0s\n"}
{"Action":"fail","Package":"roost/hub","Elapsed":300}
`, "-run '^TestWaits$' roost/hub"},
		{"it is killed", `
{"Action":"start","Package":"roost/hub"}
`, "roost/hub did not end"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := feed(t, test.lines, func(r *report, _ func(time.Duration)) {
				if r.end(false) {
					t.Error("all is well")
				}
			})
			if !strings.Contains(got, test.says) {
				t.Errorf("it does not say %q:\n%s", test.says, got)
			}
		})
	}
}
