package netpoll

import (
	"log/slog"
	"sync"
	"time"
)

// acceptLog warns that clients can't get in, once in ten seconds at most: that
// accept fails, or that accepted sockets have to be closed again at once.
type acceptLog struct {
	logger *slog.Logger

	mu   sync.Mutex
	last time.Time // guarded by mu
	n    int       // guarded by mu: failures since the last line
}

// acceptFailed may be called from any loop, as turnedAway.
func (l *acceptLog) acceptFailed(err error, pause time.Duration) {
	l.say("accepting connections fails; trying again", "error", err, "pause", pause)
}

// turnedAway is for sockets that are closed without an answer. err may be nil.
func (l *acceptLog) turnedAway(why turnedAway, err error) {
	l.say("a connection was closed without an answer: no room for it", "reason", awayNames[why], "error", err)
}

func (l *acceptLog) say(message string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	if time.Since(l.last) < 10*time.Second {
		return
	}
	l.logger.Error(message, append(args, "failures_since_last_line", l.n)...)
	l.last, l.n = time.Now(), 0
}
