package netpoll

import (
	"log/slog"
	"sync"
	"time"
)

// acceptLog warns that accept fails, once in ten seconds at most.
type acceptLog struct {
	logger *slog.Logger

	mu   sync.Mutex
	last time.Time // guarded by mu
	n    int       // guarded by mu: failures since the last line
}

// warn may be called from any acceptor.
func (l *acceptLog) warn(err error, pause time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	if time.Since(l.last) < 10*time.Second {
		return
	}
	l.logger.Error("accepting connections fails; trying again",
		"error", err, "failures", l.n, "pause", pause.String())
	l.last, l.n = time.Now(), 0
}
