package netpoll

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// tellLeftOutEvery is how long it takes at most until the log says how many of
// its lines it does not have.
const tellLeftOutEvery = time.Second

// lineLimit keeps a storm of connects from becoming a storm of lines. What is left
// out is counted, and the count is a line. Any loop.
type lineLimit struct {
	logger *slog.Logger

	mu    sync.Mutex
	limit *rate.Limiter // guarded by mu; nil for no limit
	out   leftOut       // guarded by mu: since the last line that said so
}

// leftOut counts lines.
type leftOut struct{ connected, disconnected uint64 }

func newLineLimit(logger *slog.Logger, perSecond int) *lineLimit {
	l := &lineLimit{logger: logger}
	l.setRate(perSecond)
	return l
}

// setRate changes the limit; 0 is none. Any goroutine.
func (l *lineLimit) setRate(perSecond int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case perSecond <= 0:
		l.limit = nil
	case l.limit == nil || l.limit.Burst() != perSecond:
		l.limit = rate.NewLimiter(rate.Limit(perSecond), perSecond)
	}
}

// connected and disconnected report whether there is room for one more line of
// their kind.
func (l *lineLimit) connected() bool    { return l.allow(leftOut{connected: 1}) }
func (l *lineLimit) disconnected() bool { return l.allow(leftOut{disconnected: 1}) }

func (l *lineLimit) allow(one leftOut) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limit == nil || l.limit.Allow() {
		return true
	}
	if l.out == (leftOut{}) {
		time.AfterFunc(tellLeftOutEvery, l.tell)
	}
	l.out.connected += one.connected
	l.out.disconnected += one.disconnected
	return false
}

// tell says how many lines were left out, if any were. Any goroutine.
func (l *lineLimit) tell() {
	l.mu.Lock()
	out := l.out
	l.out = leftOut{}
	l.mu.Unlock()
	if out != (leftOut{}) {
		l.logger.LogAttrs(context.Background(), slog.LevelInfo, "lines about connections were left out",
			slog.Uint64("connected", out.connected), slog.Uint64("disconnected", out.disconnected))
	}
}
