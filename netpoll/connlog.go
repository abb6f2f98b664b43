package netpoll

import (
	"context"
	"log/slog"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Two lines a connection. In a storm they are much of what a loop does, so
// nothing is boxed, and nothing asked of the kernel, for lines that nobody wants.

func (l *loop) logConnected(c *conn, total, ofUser int) {
	log, ctx := l.server.log, context.Background()
	if !log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	log.LogAttrs(ctx, slog.LevelInfo, "connected", slog.String("user_id", c.link.User()),
		slog.Int("total_connections", total), slog.Int("user_connections", ofUser), slog.String("remote", remote(c.fd)))
}

func (l *loop) logDisconnected(c *conn, total, ofUser int) {
	l.server.log.LogAttrs(context.Background(), slog.LevelInfo, "disconnected", slog.String("user_id", c.link.User()),
		slog.String("reason", c.reason.String()), slog.Int("total_connections", total), slog.Int("user_connections", ofUser))
}

// remote returns the address of the other end, "" if it has none.
func remote(fd int32) string {
	address, err := unix.Getpeername(int(fd))
	if err != nil {
		return "" // it is gone already
	}
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)).String()
	}
	return ""
}
