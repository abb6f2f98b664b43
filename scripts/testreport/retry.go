package main

import "slices"

// mostRetried is how many tests may fail in a run and be tried again. More of them are no accident.
const mostRetried = 3

// retry runs the tests that failed again, each alone and times in a row, and takes them for flaky if all of them pass each
// time. Nothing is tried again where the run failed for anything else than a few tests: a data race, a panic, a test that
// never ended, code that does not compile. run runs a command of a shell, and returns what it has printed.
func (r *report) retry(times int, run func(command string) ([]byte, error)) {
	commands := r.commands(times)
	final := func(f failure) bool { return f.final }
	if r.broken || len(r.packages) > 0 || len(commands) > mostRetried || slices.ContainsFunc(r.failed, final) {
		return
	}
	for _, command := range commands {
		r.printf("\n== again: %s\n", command)
		output, err := run(command)
		r.printf("%s", output)
		if err != nil {
			return
		}
	}
	r.flaky, r.failed = r.failed, nil
}
