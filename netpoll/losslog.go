package netpoll

import (
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// lossLog warns about notifications for which there was no room, a few lines a second
// in all: a client that stops reading loses many, and each of them is counted anyway.
type lossLog struct {
	logger *slog.Logger

	mu      sync.Mutex
	limit   *rate.Limiter // guarded by mu
	leftOut uint64        // guarded by mu: since the last line
}

func newLossLog(logger *slog.Logger) *lossLog {
	return &lossLog{logger: logger, limit: rate.NewLimiter(rate.Every(time.Second), 3)}
}

// warn may be called from any loop, which q belongs to.
func (l *lossLog) warn(slow bool, user string, why failure, q *outQueue) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.limit.Allow() {
		l.leftOut++
		return
	}
	message := "no room for a notification, it was dropped"
	if slow {
		message = "slow consumer: " + message
	}
	l.logger.Warn(message, "user_id", user, "reason", failureNames[why],
		"waiting", q.notifications(), "waiting_bytes", q.cost(), "similar_lines_left_out", l.leftOut)
	l.leftOut = 0
}
