package netpoll

import (
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// slowLog warns about slow consumers, a few lines a second in all: a client that
// stops reading loses many notifications, and each of them is counted anyway.
type slowLog struct {
	logger *slog.Logger

	mu      sync.Mutex
	limit   *rate.Limiter // guarded by mu
	leftOut uint64        // guarded by mu: since the last line
}

func newSlowLog(logger *slog.Logger) *slowLog {
	return &slowLog{logger: logger, limit: rate.NewLimiter(rate.Every(time.Second), 3)}
}

// warn may be called from any loop.
func (l *slowLog) warn(user, full string, waiting int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.limit.Allow() {
		l.leftOut++
		return
	}
	l.logger.Warn("slow consumer: no room for a notification, it was dropped",
		"user_id", user, "reason", full, "waiting", waiting, "similar_lines_left_out", l.leftOut)
	l.leftOut = 0
}
