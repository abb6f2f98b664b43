package netpoll

import (
	"context"
	"log/slog"
	"net/netip"

	"roost/wsproto"
)

// Two lines a connection, and one for each refusal where somebody debugs. In a storm they are much of what a loop
// does, so nothing is boxed, and nothing asked of the kernel, for lines that nobody wants.
//
// remote is the client's address. Where the other end of the socket is a trusted proxy, proxy is that: its port tells
// connections of the same proxy apart. A connection does not keep its client's address; so the line of its end has, of
// these, the one that the socket knows, by which the line of its beginning is found. A socket that was reset
// knows none.

func (l *loop) logConnected(c *conn, client, peer netip.AddrPort, total, ofUser int) {
	log, ctx := l.server.log, context.Background()
	if !log.Enabled(ctx, slog.LevelInfo) || !l.server.lines.connected() {
		return
	}
	attrs := [5]slog.Attr{slog.String("user_id", c.link.User()),
		slog.Int("total_connections", total), slog.Int("user_connections", ofUser)}
	log.LogAttrs(ctx, slog.LevelInfo, "connected", l.appendCaller(attrs[:3], client, peer)...)
}

func (l *loop) logDisconnected(c *conn, total, ofUser int, left unacked) {
	log, ctx := l.server.log, context.Background()
	if !log.Enabled(ctx, slog.LevelInfo) || !l.server.lines.disconnected() {
		return
	}
	attrs := [7]slog.Attr{slog.String("user_id", c.link.User()), slog.String("reason", c.reason.String()),
		slog.Int("total_connections", total), slog.Int("user_connections", ofUser)}
	log.LogAttrs(ctx, slog.LevelInfo, "disconnected", l.appendSocket(left.appendTo(attrs[:4]), peer(c.fd))...)
}

// logUnacked says of a connection whose end has been logged what came out since.
func (l *loop) logUnacked(c *conn, left unacked) {
	log, ctx := l.server.log, context.Background()
	if !log.Enabled(ctx, slog.LevelInfo) || !l.server.lines.disconnected() {
		return
	}
	attrs := [5]slog.Attr{slog.String("user_id", c.link.User()), slog.String("reason", c.reason.String())}
	log.LogAttrs(ctx, slog.LevelInfo, "disconnected without acknowledging what was sent",
		l.appendSocket(left.appendTo(attrs[:2]), peer(c.fd))...)
}

// appendTo appends what the client had not acknowledged, where that is anything.
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

func (l *loop) logRefused(c *conn, refusal *wsproto.Refusal) {
	log, ctx := l.server.log, context.Background()
	if !log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := [4]slog.Attr{slog.String("reason", refusal.Reason.String()), slog.Int("status", refusal.Status)}
	log.LogAttrs(ctx, slog.LevelDebug, "refused", l.appendCaller(attrs[:2], c.part.hs.client, c.part.hs.peer)...)
}

// appendCaller appends remote and, behind a trusted proxy, proxy.
func (l *loop) appendCaller(attrs []slog.Attr, client, socket netip.AddrPort) []slog.Attr {
	if client.IsValid() {
		attrs = append(attrs, slog.String("remote", addressText(client)))
	}
	if l.server.gate().Trusts(socket.Addr()) {
		attrs = append(attrs, slog.String("proxy", addressText(socket)))
	}
	return attrs
}

// appendSocket appends the one of these that the other end of a socket is.
func (l *loop) appendSocket(attrs []slog.Attr, socket netip.AddrPort) []slog.Attr {
	switch {
	case !socket.IsValid():
		return attrs // it is gone already
	case l.server.gate().Trusts(socket.Addr()):
		return append(attrs, slog.String("proxy", addressText(socket)))
	}
	return append(attrs, slog.String("remote", addressText(socket)))
}

// addressText is an address as lines show it, with its port where that is known.
func addressText(address netip.AddrPort) string {
	switch {
	case !address.IsValid():
		return ""
	case address.Port() == 0:
		return address.Addr().String()
	}
	return address.String()
}
