package netpoll

import (
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"roost/wsproto"
)

// proxyLog warns about PROXY headers that are not as they should be, a line in ten seconds: each is counted anyway, and
// anybody can cause them.
type proxyLog struct {
	logger *slog.Logger

	mu      sync.Mutex
	limit   *rate.Limiter // guarded by mu
	leftOut uint64        // guarded by mu: since the last line
}

func newProxyLog(logger *slog.Logger) *proxyLog {
	return &proxyLog{logger: logger, limit: rate.NewLimiter(rate.Every(10*time.Second), 3)}
}

// warn may be called from any loop.
func (l *proxyLog) warn(socket netip.AddrPort, refusal *wsproto.Refusal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.limit.Allow() {
		l.leftOut++
		return
	}
	l.logger.Warn("a connection was refused for its PROXY header", "reason", refusal.Reason.String(), "problem", refusal.Text(),
		"remote", addressText(socket), "similar_lines_left_out", l.leftOut)
	l.leftOut = 0
}
