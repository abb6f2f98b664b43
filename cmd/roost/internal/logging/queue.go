package logging

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"

	"roost/internal/plural"
)

// queue takes lines from any goroutine and writes them from one. Two buffers change places, so the mutex is held for a
// copy or a swap and never for a write, and all that waits leaves in one Write.
type queue struct {
	writer  io.Writer                 // Static. Used by run only.
	leftOut func(lines uint64) []byte // Static. Makes the line that says how many were left out.
	bound   int                       // Static. Bytes that may wait.
	wake    chan struct{}             // Holds one: run has something to look at.
	done    chan struct{}             // Closed by run when it returns.

	mu      sync.Mutex
	waiting []byte // Guarded by mu. Whole lines.
	writing int    // Guarded by mu. Lines that run is writing.
	dropped uint64 // Guarded by mu. All lines that were left out.
	full    bool   // Guarded by mu. A line did not fit, and run has not taken what waits since.
	closed  bool   // Guarded by mu.
}

func newQueue(w io.Writer, bound int, leftOut func(uint64) []byte) *queue {
	q := &queue{writer: w, leftOut: leftOut, bound: bound, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go q.run()
	return q
}

// Write takes one line. It never blocks and never fails: a line that does not fit is counted.
func (q *queue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.waiting)+len(line) > q.bound {
		q.dropped++
		q.full = true
	} else {
		q.waiting = append(q.waiting, line...)
	}
	q.signal()
	return len(line), nil
}

// dropIfFull counts a line as left out without seeing it, when an earlier one found no room since run last took what
// waits.
func (q *queue) dropIfFull() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.full {
		q.dropped++
	}
	return q.full
}

func (q *queue) droppedLines() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// signal wakes run. When there is no room, run has an earlier wake-up before it.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// gather is how long run rests after a write: in a storm of lines, which leave
// in batches then, it would otherwise be woken for every few of them. A line that
// comes after a while of silence is written at once.
const gather = 10 * time.Millisecond

// run writes what waits, a batch a wake-up, until the queue is closed.
func (q *queue) run() {
	defer close(q.done)
	var batch []byte
	var said uint64 // lines left out that the log tells of already
	for {
		<-q.wake
		lines, dropped, closed := q.take(batch[:0])
		batch = lines
		if dropped > said {
			batch = append(batch, q.leftOut(dropped-said)...)
		}
		// After an error said stays, and the next line brings the next attempt: none are made in circles.
		if q.write(batch, len(lines)) {
			said = dropped
		}
		if closed {
			return
		}
		time.Sleep(gather)
	}
}

// take changes what waits for an empty buffer.
func (q *queue) take(empty []byte) (lines []byte, dropped uint64, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines, q.waiting = q.waiting, empty
	q.writing = countLines(lines)
	q.full = false
	return lines, q.dropped, q.closed
}

// write writes the batch, of which the first own bytes are callers' lines, and counts those that an error cost.
func (q *queue) write(batch []byte, own int) bool {
	var n int
	var err error
	if len(batch) > 0 {
		n, err = q.writer.Write(batch)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing = 0
	if err != nil {
		q.dropped += uint64(countLines(batch[min(n, own):own]))
	}
	return err == nil
}

// close refuses further lines and waits for those before them.
func (q *queue) close(timeout time.Duration) error {
	q.mu.Lock()
	q.closed = true
	q.signal()
	q.mu.Unlock()

	for range 2 { // in halves: where the process was paused, one is over at once, and what waits is written in the other
		select {
		case <-q.done:
			return nil
		case <-time.After(timeout / 2):
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return fmt.Errorf("log: %s not written after %s: nobody reads them", plural.Count(q.writing+countLines(q.waiting), "line"), timeout)
}

func countLines(b []byte) int { return bytes.Count(b, []byte{'\n'}) }
