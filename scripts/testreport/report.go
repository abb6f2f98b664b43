package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// event is a line of go test -json (go doc test2json), or of go build -json where building a test fails.
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64 // seconds
}

// report keeps what has to be said later. It is for one goroutine.
type report struct {
	out   io.Writer
	again string
	now   func() time.Time
	begun time.Time

	packages map[string]*pack
	ended    []string            // the lines of the packages that have ended, in order
	passed   int                 // tests
	skipped  map[string][]string // by reason, the tests
	failed   []failure
	flaky    []failure // those that passed when they ran again
	broken   bool      // something failed that is no test
}

// pack is a package whose tests run.
type pack struct {
	running map[string]time.Time // tests, since when; those that wait for their turn are not in it
	output  map[string][]string  // of tests that have not ended, by their name; "" is the package's own
}

// failure is a test that failed, or a package, outside of its tests.
type failure struct {
	pack, test string   // test is empty for the package
	took       string   // as go test has it: (1.23s); empty for one that never ended
	said       []string // excerpt of what it has said
	final      bool     // it is nothing that chance excuses: a data race, a panic, a test that never ended
}

func newReport(out io.Writer, again string, now func() time.Time) *report {
	return &report{out: out, again: again, now: now, begun: now(), packages: make(map[string]*pack), skipped: make(map[string][]string)}
}

func (r *report) printf(format string, args ...any) { _, _ = fmt.Fprintf(r.out, format, args...) }

// line takes a line, and reports whether that has printed anything.
func (r *report) line(text []byte) (printed bool) {
	var e event
	if json.Unmarshal(text, &e) != nil || e.Action == "" {
		r.printf("%s", text)
		return true
	}
	switch e.Action {
	case "build-output":
		r.printf("%s", e.Output)
		return true
	case "build-fail":
		r.broken = true
		return false
	}
	p := r.packages[e.Package]
	if p == nil {
		p = &pack{running: make(map[string]time.Time), output: make(map[string][]string)}
		r.packages[e.Package] = p
	}
	switch e.Action {
	case "run", "cont":
		p.running[e.Test] = r.now()
	case "pause":
		delete(p.running, e.Test)
	case "output":
		p.output[e.Test] = append(p.output[e.Test], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			return r.packageEnds(p, e)
		}
		r.testEnds(p, e)
	}
	return false
}

// testEnds counts a test, and prints what one that failed has said.
func (r *report) testEnds(p *pack, e event) {
	delete(p.running, e.Test)
	output := p.output[e.Test]
	delete(p.output, e.Test)
	if e.Action != "fail" {
		p.output[""] = append(p.output[""], behind(output)...)
	}
	switch e.Action {
	case "pass":
		r.passed++
	case "skip":
		reason := reasonOf(output)
		r.skipped[reason] = append(r.skipped[reason], e.Test)
	case "fail":
		r.fails(e.Package, e.Test, output, slices.ContainsFunc(output, raced))
	}
}

// raced reports whether a line says that the race detector found something.
func raced(line string) bool {
	return strings.Contains(line, "DATA RACE") || strings.Contains(line, "race detected during execution of test")
}

// fails keeps a test that failed, and prints what it has said, its line first: so whoever reads from there finds the messages
// before the logs of processes, of which each may be long.
func (r *report) fails(pack, test string, output []string, final bool) {
	f := failure{pack: pack, test: test, said: excerpt(output), final: final}
	ends := func(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " "), "--- FAIL: "+test+" ") }
	if i := slices.IndexFunc(output, ends); i >= 0 {
		_, f.took, _ = strings.Cut(strings.TrimSpace(output[i]), test+" ")
		output = slices.Concat(output[i:i+1], output[:i], output[i+1:])
	}
	r.failed = append(r.failed, f)
	r.print(output)
}

// behind is what follows the line with which a test ended well: go test takes a panic, or that the package's time is over, for
// the words of whichever test has printed last.
func behind(output []string) []string {
	for i, line := range slices.Backward(output) {
		if line = strings.TrimLeft(line, " "); strings.HasPrefix(line, "--- PASS: ") || strings.HasPrefix(line, "--- SKIP: ") {
			return output[i+1:]
		}
	}
	return nil
}

// packageEnds prints the package's line, and, of one that failed, what tests that never ended have said.
func (r *report) packageEnds(p *pack, e event) (printed bool) {
	delete(r.packages, e.Package)
	if e.Action == "skip" {
		return false // it has no tests
	}
	line := strings.TrimRight(lastWith(p.output[""], e.Package), "\n")
	if e.Action == "fail" {
		for _, test := range slices.Sorted(maps.Keys(p.output)) {
			if _, ran := p.running[test]; ran {
				r.fails(e.Package, test, p.output[test], true)
			}
		}
		own := slices.DeleteFunc(p.output[""], func(s string) bool { return strings.Contains(s, line) })
		r.print(own)
		if said := excerpt(slices.DeleteFunc(slices.Clone(own), ordinary)); len(said) > 0 {
			r.failed = append(r.failed, failure{pack: e.Package, said: said, final: true})
		}
		if !slices.ContainsFunc(r.failed, func(f failure) bool { return f.pack == e.Package }) {
			r.broken = true
		}
	}
	if line == "" {
		line = fmt.Sprintf("FAIL\t%s\t%.3fs", e.Package, e.Elapsed)
	}
	r.ended = append(r.ended, line)
	r.printf("%s\n", line)
	return true
}

// ordinary reports whether a line of a package that failed says no more than that.
func ordinary(line string) bool { return line == "FAIL\n" || strings.HasPrefix(line, "exit status ") }

// lastWith is the last line of output that ends a package: ok or FAIL, its name, and how long it took.
func lastWith(output []string, name string) string {
	for _, line := range slices.Backward(output) {
		fields := strings.Fields(line)
		if len(fields) > 1 && (fields[0] == "ok" || fields[0] == "FAIL") && fields[1] == name {
			return line
		}
	}
	return ""
}

// print prints output without what only says that tests begin and pause.
func (r *report) print(output []string) {
	for _, line := range output {
		if !strings.HasPrefix(line, "=== ") {
			r.printf("%s", line)
		}
	}
}

// reasonOf is what a test that was skipped has said: its first line, without the place.
func reasonOf(output []string) string {
	for _, line := range output {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") || line == "" {
			continue
		}
		if _, said, ok := strings.Cut(line, ".go:"); ok {
			_, line, _ = strings.Cut(said, ": ")
		}
		return line
	}
	return "no reason was given"
}

// meanwhile says what runs.
func (r *report) meanwhile() {
	took := r.now().Sub(r.begun).Round(time.Second)
	var running []string
	for name, p := range r.packages {
		if test, since := oldest(p.running); test != "" {
			running = append(running, fmt.Sprintf("%s (%s, for %s)", name, test, r.now().Sub(since).Round(time.Second)))
		}
	}
	if len(running) == 0 {
		r.printf("   … after %s: test programs are built; with nothing built before that takes minutes\n", took)
		return
	}
	slices.Sort(running)
	r.printf("   … after %s: %d packages have ended, %d tests have passed; running: %s\n", took, len(r.ended), r.passed, strings.Join(running, ", "))
}

// oldest is the test that has run longest; of a test with subtests it is one of these.
func oldest(running map[string]time.Time) (test string, since time.Time) {
	for name, at := range running {
		inside := strings.HasPrefix(name, test+"/")
		if test == "" || inside || (at.Before(since) && !strings.HasPrefix(test, name+"/")) {
			test, since = name, at
		}
	}
	return test, since
}

// end says the rest, and reports whether all is well. packages has it end with the lines of the packages.
func (r *report) end(packages bool) (ok bool) {
	ok = !r.broken && len(r.failed) == 0
	for name := range r.packages {
		r.printf("%s did not end\n", name)
		ok = false
	}
	r.printf("\n%d tests passed in %s", r.passed, r.now().Sub(r.begun).Round(time.Second))
	if len(r.skipped) > 0 {
		r.printf("; skipped:\n")
		for _, reason := range slices.Sorted(maps.Keys(r.skipped)) {
			r.printf("  %s\n      %s\n", strings.Join(r.skipped[reason], ", "), reason)
		}
	} else {
		r.printf("\n")
	}
	if commands := r.commands(1); len(commands) > 0 {
		r.printf("failed; to run one again:\n  %s\n", strings.Join(commands, "\n  "))
	}
	if packages {
		r.printf("\n%s\n", strings.Join(r.ended, "\n"))
	}
	r.list("failed, and passed when run again, alone", "flaky", r.flaky)
	r.list("failed tests", "--- FAIL", r.failed)
	if packages && !ok {
		r.printf("FAIL\n")
	}
	return ok
}

// list says last, where it survives an output that is cut, which tests failed and what each has said about it.
func (r *report) list(title, each string, failed []failure) {
	title = "\n" + title + ":\n"
	for _, f := range failed {
		if len(f.said) == 0 && f.test != "" && hasFailedInside(failed, f) {
			continue // its subtests have said it
		}
		r.printf("%s%s: %s\n", title, each, strings.Join(slices.DeleteFunc([]string{f.test, f.took, f.pack}, func(s string) bool { return s == "" }), " "))
		title = ""
		for _, line := range f.said {
			r.printf("%s\n", line)
		}
	}
}

// hasFailedInside reports whether a subtest of a test is among those that failed.
func hasFailedInside(failed []failure, f failure) bool {
	return slices.ContainsFunc(failed, func(other failure) bool {
		return other.pack == f.pack && strings.HasPrefix(other.test, f.test+"/")
	})
}

// commands are those that run the tests again that failed, times in a row: of a test with subtests these.
func (r *report) commands(times int) (commands []string) {
	for _, f := range r.failed {
		if f.test != "" && !hasFailedInside(r.failed, f) {
			commands = append(commands, fmt.Sprintf("%s -count=%d -run %s %s", r.again, times, pattern(f.test), f.pack))
		}
	}
	return commands
}

// pattern is what go test -run takes for one test, in quotes for a shell.
func pattern(test string) string {
	var parts []string
	for part := range strings.SplitSeq(test, "/") {
		parts = append(parts, "^"+regexp.QuoteMeta(part)+"$")
	}
	return "'" + strings.ReplaceAll(strings.Join(parts, "/"), "'", `'\''`) + "'"
}
