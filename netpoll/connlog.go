package netpoll

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// connLog writes the two lines of each connection, that of its beginning and that of its end, and keeps a storm of connects
// from becoming a storm of lines. Those left out are counted, and the two counts are a line. Any loop.
//
// In a storm the lines are much of a loop's work: nothing is allocated, and no system call made, for those that are not
// written.
//
// remote is the client's address. If the other end of the socket is a trusted proxy, proxy is the proxy's address; its port
// tells connections of one proxy apart. A connection does not keep its client's address: the line of its end has the one
// address that the socket still knows, so that people find the line of its beginning. A socket that was reset knows none.
type connLog struct {
	logger *slog.Logger

	mu    sync.Mutex
	limit *rate.Limiter // guarded by mu; nil for no limit
	out   leftOut       // guarded by mu: since the last line that said so
}

// leftOut counts lines.
type leftOut struct{ connected, disconnected uint64 }

// tellLeftOutEvery is how long it takes at most until the log says how many of its lines it does not have.
const tellLeftOutEvery = time.Second

func newConnLog(logger *slog.Logger, perSecond int) *connLog {
	l := &connLog{logger: logger}
	l.setRate(perSecond)
	return l
}

// setRate changes the limit; 0 is none. Any goroutine.
func (l *connLog) setRate(perSecond int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case perSecond <= 0:
		l.limit = nil
	case l.limit == nil || l.limit.Burst() != perSecond:
		l.limit = rate.NewLimiter(rate.Limit(perSecond), perSecond)
	}
}

// connected writes the line of a connection's beginning.
func (l *connLog) connected(c *conn, client, peer netip.AddrPort, total, ofUser int) {
	if !l.room(leftOut{connected: 1}) {
		return
	}
	room := [6]slog.Attr{slog.String("user_id", c.link.User()),
		slog.Int("total_connections", total), slog.Int("user_connections", ofUser)}
	attrs := room[:3]
	if c.stream {
		attrs = append(attrs, slog.String("transport", "sse"))
	}
	l.write("connected", c.loop.appendCaller(attrs, client, peer))
}

// disconnected writes the line of a connection's end.
func (l *connLog) disconnected(c *conn, total, ofUser int, left unacked) {
	if !l.room(leftOut{disconnected: 1}) {
		return
	}
	attrs := [7]slog.Attr{slog.String("user_id", c.link.User()), slog.String("reason", c.reason.String()),
		slog.Int("total_connections", total), slog.Int("user_connections", ofUser)}
	l.write("disconnected", c.loop.appendSocket(left.appendTo(attrs[:4]), peer(c.fd)))
}

// unacknowledged adds to the line of a connection's end what the client had not acknowledged by the time its socket closed.
func (l *connLog) unacknowledged(c *conn, left unacked) {
	if !l.room(leftOut{disconnected: 1}) {
		return
	}
	attrs := [5]slog.Attr{slog.String("user_id", c.link.User()), slog.String("reason", c.reason.String())}
	l.write("disconnected without acknowledging what was sent", c.loop.appendSocket(left.appendTo(attrs[:2]), peer(c.fd)))
}

// appendTo appends what the client had not acknowledged, if anything.
func (u unacked) appendTo(attrs []slog.Attr) []slog.Attr {
	if u.bytes == 0 {
		return attrs
	}
	attrs = append(attrs, slog.Int("unacknowledged_bytes", u.bytes))
	switch {
	case u.all:
		attrs = append(attrs, slog.Int("unacknowledged_deliveries", u.deliveries))
	case u.deliveries > 0:
		attrs = append(attrs, slog.Int("unacknowledged_deliveries_at_least", u.deliveries))
	}
	return attrs
}

func (l *connLog) write(message string, attrs []slog.Attr) {
	l.logger.LogAttrs(context.Background(), slog.LevelInfo, message, attrs...)
}

// room reports whether there is room for one more line, and counts it as left out if there is none. A line that the log's
// level leaves out is not counted.
func (l *connLog) room(one leftOut) bool {
	return l.logger.Enabled(context.Background(), slog.LevelInfo) && l.allow(one)
}

func (l *connLog) allow(one leftOut) bool {
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
func (l *connLog) tell() {
	l.mu.Lock()
	out := l.out
	l.out = leftOut{}
	l.mu.Unlock()
	if out != (leftOut{}) {
		l.logger.LogAttrs(context.Background(), slog.LevelInfo, "lines about connections were left out",
			slog.Uint64("connected", out.connected), slog.Uint64("disconnected", out.disconnected))
	}
}
