package redistest

import (
	"log/slog"
	"sync"
	"testing"
	"time"
)

// Patience is how long a test waits for what must happen, on a machine that is busy with other things as well.
const Patience = 3 * time.Minute

// WaitFor waits until cond holds, and fails the test if that takes longer than Patience.
func WaitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited %s for: %s", Patience, what)
		}
	}
}

// Log keeps the lines of a logger, to be searched. Any goroutine.
type Log struct {
	mu  sync.Mutex
	buf []byte // guarded by mu
}

// Write implements io.Writer.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, b...)
	return len(b), nil
}

// String is all that was logged.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf)
}

// Logger logs to l, from level info on.
func (l *Log) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
