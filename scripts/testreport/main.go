// Command testreport shows people what `go test -json` does: a line for each package as go test has it, what runs while
// nothing ends, and at the end what was skipped and why, and for each test that failed the command that runs it again.
//
//	go test -json ./... | go run ./scripts/testreport --again 'go test -race'
//
// It ends with 1 if anything failed; with --retry N not for a few tests that pass N times when they run again. Lines that are
// not JSON are printed as they are.
package main

import (
	"bufio"
	"flag"
	"os"
	"os/exec"
	"time"
)

// tick is how long nothing ends before it is said what runs.
const tick = 15 * time.Second

func main() {
	again := flag.String("again", "go test", "how tests are run, for the commands that run one again")
	last := flag.Bool("packages-last", false, "the lines of the packages once more at the end, as go test's last words")
	times := flag.Int("retry", 0, "if at most three tests failed, run each again, alone and so many times: one that passes is only named as flaky")
	flag.Parse()

	r := newReport(os.Stdout, *again, time.Now)
	lines := make(chan []byte)
	go func() {
		defer close(lines)
		in := bufio.NewReader(os.Stdin)
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
	if *times > 0 {
		r.retry(*times, func(command string) ([]byte, error) { return exec.Command("sh", "-c", command).CombinedOutput() })
	}
	if !r.end(*last) {
		os.Exit(1)
	}
}
