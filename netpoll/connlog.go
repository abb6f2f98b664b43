package netpoll

import (
	"context"
	"log/slog"
)

// Two lines a connection. In a storm they are much of what a loop does, so
// nothing is boxed, and nothing asked of the kernel, for lines that nobody wants.

func (l *loop) logConnected(c *conn, total, ofUser int) {
	log, ctx := l.server.log, context.Background()
	if !log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	log.LogAttrs(ctx, slog.LevelInfo, "connected", slog.String("user_id", c.link.User()),
		slog.Int("total_connections", total), slog.Int("user_connections", ofUser), slog.String("remote", peerText(c.fd)))
}

func (l *loop) logDisconnected(c *conn, total, ofUser int) {
	l.server.log.LogAttrs(context.Background(), slog.LevelInfo, "disconnected", slog.String("user_id", c.link.User()),
		slog.String("reason", c.reason.String()), slog.Int("total_connections", total), slog.Int("user_connections", ofUser))
}

// peerText is a peer as lines show it, "" if there is none.
func peerText(fd int32) string {
	if address := peer(fd); address.IsValid() {
		return address.String()
	}
	return ""
}
