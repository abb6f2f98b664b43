// Command testreport shows people what `go test -json` does: a line for each package as go test has it, what runs while
// nothing ends, and at the end what was skipped and why, and for each test that failed the command that runs it again.
//
//	go test -json ./... | go run ./scripts/testreport --again 'go test -race'
//
// It ends with 1 if anything failed. Lines that are not JSON are printed as they are.
package main

import (
	"bufio"
	"flag"
	"os"
	"time"
)

// tick is how long nothing ends before it is said what runs.
const tick = 15 * time.Second

func main() {
	again := flag.String("again", "go test", "how tests are run, for the commands that run one again")
	last := flag.Bool("packages-last", false, "the lines of the packages once more at the end, as go test's last words")
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
	if !r.end(*last) {
		os.Exit(1)
	}
}
