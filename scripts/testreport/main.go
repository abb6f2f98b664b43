// Command testreport shows people what `go test -json` does: a line for each package as go test has it, what runs while
// nothing ends, and at the end what was skipped and why, and for each test that failed the command that runs it again.
//
//	go test -json ./... | go run ./scripts/testreport --again 'go test -race'
//
// It ends with 1 if anything failed. With --retry N it ends with 3 where that was a few tests, all of which passed N times when
// they ran again: whoever looks at the status of go test too knows then what it is of. Lines that are not JSON are printed as they are.
package main

import (
	"bufio"
	"flag"
	"io"
	"os"
	"os/exec"
	"time"
)

// tick is how long nothing ends before it is said what runs.
const tick = 15 * time.Second

// onlyFlaky is the status with which it ends if all tests that failed passed when they ran again.
const onlyFlaky = 3

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout)) }

// run returns the status.
func run(args []string, stdin io.Reader, stdout io.Writer) int {
	flags := flag.NewFlagSet("testreport", flag.ExitOnError)
	again := flags.String("again", "go test", "how tests are run, for the commands that run one again")
	last := flags.Bool("packages-last", false, "the lines of the packages once more at the end, as go test's last words")
	times := flags.Int("retry", 0, "if at most three tests failed, run each again, alone and so many times: one that passes is only named as flaky")
	_ = flags.Parse(args) // it exits

	r := newReport(stdout, *again, time.Now)
	follow(r, stdin)
	if *times > 0 {
		r.retry(*times, func(command string) ([]byte, error) { return exec.Command("sh", "-c", command).CombinedOutput() })
	}
	switch well := r.end(*last); {
	case !well:
		return 1
	case len(r.flaky) > 0:
		return onlyFlaky
	}
	return 0
}

// follow reports what is read until its end, and now and then what runs.
func follow(r *report, stdin io.Reader) {
	lines := make(chan []byte)
	go func() {
		defer close(lines)
		in := bufio.NewReader(stdin)
		for {
			line, err := in.ReadBytes('\n')
			if len(line) > 0 {
				lines <- line
			}
			if err != nil {
				return
			}
		}
	}()
	timer := time.NewTimer(tick)
	for open := true; open; {
		select {
		case line, more := <-lines:
			if open = more; more && r.line(line) {
				timer.Reset(tick)
			}
		case <-timer.C:
			r.meanwhile()
			timer.Reset(tick)
		}
	}
}
