package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"roost/cmd/roost/internal/printable"
	"roost/internal/pause"
)

const (
	// maxMessage bounds a message in bytes, with room for the line about what was left out. Discord refuses what is longer
	// than 2,000 characters, and no text has more characters than bytes.
	maxMessage = 1900
	// maxLine bounds a line of it.
	maxLine = 900
	// maxAttempts is how often one message is tried when the webhook fails in a way that may pass.
	maxAttempts = 3
	// retry is the wait before the second attempt, doubled for the third.
	retry = time.Second
)

// run posts what waits, at the limiter's pace, until Close; then it posts the rest.
func (a *Alerter) run() {
	defer close(a.done)
	defer a.release()
	for a.awaitTurn() {
		a.postOldest()
	}
	a.postNewest()
}

// awaitTurn waits until something waits and the pace allows a message, and says no when Close is called.
func (a *Alerter) awaitTurn() bool {
	select {
	case <-a.wake:
		return a.limiter.Wait(a.open) == nil
	case <-a.open.Done():
		return false
	}
}

func (a *Alerter) release() {
	a.open.end()
	a.sending.end()
	a.last.end()
	a.hook.client.CloseIdleConnections()
}

// postOldest posts the oldest lines, as many as one message holds. They wait until they are posted, or have failed: when
// Close interrupts them they are for postNewest.
func (a *Alerter) postOldest() {
	a.mu.Lock()
	n, missed := fitting(a.waiting, false), a.missed
	lines := a.waiting[:n:n]
	a.mu.Unlock()
	if n == 0 {
		return
	}
	err := a.post(a.sending, a.open, message(lines, missed))
	if err != nil && a.open.Err() != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = a.waiting[n:]
	a.missed -= missed
	if len(a.waiting) > 0 {
		a.signal()
	}
	a.note(err, n)
}

// postNewest posts the newest lines of those that are left: the last one says why the service leaves.
func (a *Alerter) postNewest() {
	a.mu.Lock()
	defer a.mu.Unlock() // nothing is queued any more
	over := len(a.waiting) - fitting(a.waiting, true)
	lines := a.waiting[over:]
	a.dropped += uint64(over)
	if len(lines) > 0 {
		a.mu.Unlock()
		err := a.post(a.last, a.last, message(lines, a.missed+over))
		a.mu.Lock()
		a.note(err, len(lines))
	}
}

// note counts and logs lines that were not posted, where there is an error. The lock is held.
func (a *Alerter) note(err error, lines int) {
	if err != nil {
		a.dropped += uint64(lines)
		a.logger.Warn("discord alert not posted", slog.String("error", err.Error()), slog.Int("lines", lines))
	}
}

// post sends one message, again after failures that may pass. pauses bounds the waits between attempts.
func (a *Alerter) post(ctx, pauses context.Context, text string) error {
	for attempt := 1; ; attempt++ {
		err := a.hook.post(ctx, text)
		var failure *failure
		if err == nil || !errors.As(err, &failure) || !failure.passing || attempt == maxAttempts {
			return err
		}
		if !pause.For(pauses, max(retry<<(attempt-1), failure.retryAfter)) {
			return err
		}
	}
}

// message is the text for lines; it says how many were left out.
func message(lines []string, missed int) string {
	var b strings.Builder
	for i, line := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(printable.Cut(line, maxLine))
	}
	if missed > 0 {
		fmt.Fprintf(&b, "\n(%d more left out)", missed)
	}
	return b.String()
}

// fitting counts how many lines one message holds, from the first on or, for the newest, from the last: at least one when
// there is any.
func fitting(lines []string, newest bool) int {
	total := 0
	for n := range lines {
		line := lines[n]
		if newest {
			line = lines[len(lines)-1-n]
		}
		if total += len(printable.Cut(line, maxLine)) + 1; total > maxMessage {
			return n
		}
	}
	return len(lines)
}
