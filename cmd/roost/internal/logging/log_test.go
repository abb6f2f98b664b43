package logging

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// The promise of this package: a pipe that nobody reads holds up nobody.
func TestPipeThatNobodyReads(t *testing.T) {
	t.Parallel()
	const callers, each = 8, 5000
	r, w := pipe(t)
	l := New(Config{Writer: w, Buffer: 64 << 10}) // a pipe holds 64 KiB itself
	logger := l.Logger()

	done := make(chan struct{})
	go func() {
		defer close(done)
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for i := range each {
					logger.Info("client connected", "i", i)
				}
			})
		}
		wg.Wait()
	}()
	receive(t, done)
	if l.Dropped() < callers*each/2 {
		t.Errorf("%d dropped of %d", l.Dropped(), callers*each)
	}

	// Somebody reads again: every line is there or is counted, and the log says so itself.
	lines := make(chan map[string]any, callers*each)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			for _, m := range decode(t, s.Text()) {
				lines <- m
			}
		}
	}()
	closeLog(t, l)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var written, said float64
	for m := range lines {
		if n, is := m["lines"].(float64); is {
			said += n
		} else {
			written++
		}
	}
	if said != float64(l.Dropped()) || written+said != callers*each {
		t.Errorf("%v written, %v said to be left out, %d counted, of %d", written, said, l.Dropped(), callers*each)
	}
}

func TestCloseGivesUpOnAStuckWriter(t *testing.T) {
	t.Parallel()
	g := newGate()
	l := New(Config{Writer: g})
	l.Logger().Info("one")
	receive(t, g.entered)
	l.Logger().Info("two")
	start := time.Now()
	err := l.Close(20 * time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "2 lines not written") {
		t.Errorf("error %v", err)
	}
	if time.Since(start) > soon/2 {
		t.Errorf("took %s", time.Since(start))
	}
	close(g.open)
	receive(t, l.queue.done)
}

func TestLinesAfterCloseAreCounted(t *testing.T) {
	t.Parallel()
	var out lockedBuffer
	l := New(Config{Writer: &out})
	l.Logger().Info("before")
	closeLog(t, l)
	l.Logger().Info("after")
	l.Logger().Info("after")
	if l.Dropped() != 2 || !strings.Contains(out.String(), "before") {
		t.Errorf("%d dropped, %q", l.Dropped(), out.String())
	}
	closeLog(t, l) // again: does no harm
}

func TestLinesThatWaitLeaveInOneWrite(t *testing.T) {
	t.Parallel()
	g := newGate()
	l := New(Config{Writer: g})
	l.Logger().Info("first")
	receive(t, g.entered)
	for i := range 100 {
		l.Logger().Info("more", "i", i)
	}
	close(g.open)
	closeLog(t, l)
	if n := len(g.entered); n > 2 { // the hundred, and perhaps an empty one at the end
		t.Errorf("%d writes", n)
	}
	for i, m := range decode(t, g.String())[1:] {
		if m["i"] != float64(i) {
			t.Fatalf("line %d is %v", i, m)
		}
	}
}

func TestLineLargerThanTheBuffer(t *testing.T) {
	t.Parallel()
	var out lockedBuffer
	l := New(Config{Writer: &out, Buffer: 500, Console: true})
	l.Logger().Info(strings.Repeat("x", 501))
	await(t, func() bool { return strings.Contains(out.String(), "left out") })
	l.Logger().Info("short")
	closeLog(t, l)
	if got := out.String(); !strings.Contains(got, "WARN  log lines left out") || !strings.Contains(got, "lines=1\n") ||
		!strings.Contains(got, "short") {
		t.Errorf("got %q", got)
	}
}

func TestWriterThatFails(t *testing.T) {
	t.Parallel()
	var out lockedBuffer
	q := newQueue(&out, 1000, func(n uint64) []byte { return fmt.Appendf(nil, "left out %d\n", n) })
	out.fail(4, errors.New("disk full"))
	write(t, q, "a\nb\nc\nd\n")
	await(t, func() bool { return q.droppedLines() == 2 })
	out.fail(0, errors.New("disk full"))
	write(t, q, "e\n")
	await(t, func() bool { return q.droppedLines() == 3 })
	out.fail(0, nil)
	write(t, q, "f\n")
	if err := q.close(soon); err != nil {
		t.Error(err)
	}
	if got := out.String(); !strings.HasSuffix(got, "a\nb\nf\nleft out 3\n") {
		t.Errorf("got %q", got)
	}
}

func write(t *testing.T, w io.Writer, s string) {
	t.Helper()
	if n, err := io.WriteString(w, s); n != len(s) || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
}

// While nobody reads, lines cost next to nothing: they are not even formatted.
func TestFullBufferCostsNoFormatting(t *testing.T) {
	g := newGate()
	l := New(Config{Writer: g, Buffer: 200})
	logger := l.Logger()
	logger.Info("one")
	receive(t, g.entered)
	logger.Info("two, which waits and leaves no room for a third" + strings.Repeat(".", 70)) // however many digits a time has
	logger.Info("three, which is left out")
	formatted := 0
	attr := slog.Any("a", counting{&formatted})
	n := testing.AllocsPerRun(100, func() { logger.LogAttrs(context.Background(), slog.LevelInfo, "client connected", attr) })
	if n != 0 || formatted != 0 {
		t.Errorf("%.1f allocations a line, %d formatted", n, formatted)
	}
	close(g.open)
	closeLog(t, l)
	if want := uint64(1 + 101); l.Dropped() != want { // AllocsPerRun has one run more
		t.Errorf("%d dropped, want %d", l.Dropped(), want)
	}
}

// counting counts how often it is formatted.
type counting struct{ n *int }

// LogValue is slog.LogValuer's.
func (c counting) LogValue() slog.Value {
	*c.n++
	return slog.IntValue(*c.n)
}
