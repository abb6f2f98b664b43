package alert

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"
)

// run posts what waits, at the limiter's pace, until Close; then it posts the rest.
func (a *Alerter) run() {
	defer close(a.done)
	defer a.release()
	for a.awaitTurn() {
		a.postNext()
	}
	a.postLast()
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

// postNext posts the oldest lines, as many as one message holds.
func (a *Alerter) postNext() {
	lines, missed := a.take()
	if len(lines) == 0 {
		return
	}
	err := a.post(a.sending, a.open, message(lines, missed))
	switch {
	case err == nil:
	case a.open.Err() != nil:
		a.putBack(lines, missed)
	default:
		a.failed(err, len(lines))
	}
}

// postLast posts the newest lines: the last one says why the service leaves.
func (a *Alerter) postLast() {
	lines, missed := a.takeLast()
	if len(lines) == 0 {
		return
	}
	if err := a.post(a.last, a.last, message(lines, missed)); err != nil {
		a.failed(err, len(lines))
	}
}

// post sends one message, again after failures that may pass. pauses bounds the waits between attempts.
func (a *Alerter) post(ctx, pauses context.Context, text string) error {
	wait := a.retry
	for attempt := 1; ; attempt++ {
		err := a.hook.post(ctx, text)
		if err == nil {
			return nil
		}
		var failure *failure
		if !errors.As(err, &failure) || !failure.passing || attempt == maxAttempts {
			return err
		}
		if !pause(pauses, max(wait, failure.retryAfter)) {
			return err
		}
		wait *= 2
	}
}

// pause waits for d and says whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (a *Alerter) failed(err error, lines int) {
	a.mu.Lock()
	a.dropped += uint64(lines)
	a.mu.Unlock()
	a.logger.Warn("discord alert not posted", slog.String("error", err.Error()), slog.Int("lines", lines))
}

// take removes the oldest lines, as many as one message holds.
func (a *Alerter) take() (lines []string, missed int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := fitting(slices.Values(a.waiting))
	lines, a.waiting = a.waiting[:n:n], a.waiting[n:]
	missed, a.missed = a.missed, 0
	if len(a.waiting) > 0 {
		a.signal()
	}
	return lines, missed
}

// takeLast removes all lines and returns the newest, as many as one message holds.
func (a *Alerter) takeLast() (lines []string, missed int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	over := len(a.waiting) - fitting(newestFirst(a.waiting))
	a.dropped += uint64(over)
	return a.waiting[over:], a.missed + over
}

// putBack returns lines whose message Close interrupted.
func (a *Alerter) putBack(lines []string, missed int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = append(lines, a.waiting...)
	a.missed += missed
}
