package netpoll

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"roost/netpoll/internal/sendqueue"
	"roost/wsproto/handshake"
)

// Two lines a connection, and one for each refusal where somebody debugs. In a storm they are much of what a loop
// does, so nothing is boxed, and nothing asked of the kernel, for lines that nobody wants.
//
// remote is the client's address. Where the other end of the socket is a trusted proxy, proxy is that: its port tells
// connections of the same proxy apart. A connection does not keep its client's address; so the line of its end has, of
// these, the one that the socket knows, by which the line of its beginning is found. A socket that was reset
// knows none.

func (c *conn) logConnected(client, peer netip.AddrPort, total, ofUser int) {
	l := c.loop
	log, ctx := l.server.log, context.Background()
	if !log.Enabled(ctx, slog.LevelInfo) || !l.server.lines.connected() {
		return
	}
	attrs := [5]slog.Attr{slog.String("user_id", c.link.User()),
		slog.Int("total_connections", total), slog.Int("user_connections", ofUser)}
	log.LogAttrs(ctx, slog.LevelInfo, "connected", l.appendCaller(attrs[:3], client, peer)...)
}

func (c *conn) logDisconnected(total, ofUser int, left unacked) {
	l := c.loop
	log, ctx := l.server.log, context.Background()
	if !log.Enabled(ctx, slog.LevelInfo) || !l.server.lines.disconnected() {
		return
	}
	attrs := [7]slog.Attr{slog.String("user_id", c.link.User()), slog.String("reason", c.reason.String()),
		slog.Int("total_connections", total), slog.Int("user_connections", ofUser)}
	log.LogAttrs(ctx, slog.LevelInfo, "disconnected", l.appendSocket(left.appendTo(attrs[:4]), peer(c.fd))...)
}

// logUnacked says of a connection whose end has been logged what came out since.
func (c *conn) logUnacked(left unacked) {
	l := c.loop
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

func (h *pendingHandshake) logRefused(refusal *handshake.Refusal) {
	log, ctx := h.conn.loop.server.log, context.Background()
	if !log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := [4]slog.Attr{slog.String("reason", refusal.Reason.String()), slog.Int("status", refusal.Status)}
	log.LogAttrs(ctx, slog.LevelDebug, "refused", h.conn.loop.appendCaller(attrs[:2], h.client, h.peer)...)
}

// appendCaller appends remote and, behind a trusted proxy, proxy.
func (l *loop) appendCaller(attrs []slog.Attr, client, socket netip.AddrPort) []slog.Attr {
	if client.IsValid() {
		attrs = append(attrs, slog.String("remote", addressText(client)))
	}
	if l.server.upgrader().Trusts(socket.Addr()) {
		attrs = append(attrs, slog.String("proxy", addressText(socket)))
	}
	return attrs
}

// appendSocket appends the one of these that the other end of a socket is.
func (l *loop) appendSocket(attrs []slog.Attr, socket netip.AddrPort) []slog.Attr {
	switch {
	case !socket.IsValid():
		return attrs // it is gone already
	case l.server.upgrader().Trusts(socket.Addr()):
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

// unanswered is for sockets that are closed without an answer. err may be nil.
func (l *acceptLog) unanswered(why unanswered, err error) {
	l.say("a connection was closed without an answer: no room for it", "reason", unansweredNames[why], "error", err)
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
func (l *lossLog) warn(slow bool, user string, why failure, q *sendqueue.Queue) {
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
		"waiting", q.Len(), "waiting_bytes", q.Cost(), "similar_lines_left_out", l.leftOut)
	l.leftOut = 0
}

// refusalLog warns about refusals that an operator or an integrator can mend, with the
// variable to look at: the page that is refused sees nothing but a failed connection. Of
// each reason there are three lines at once and then one in ten seconds, since anybody
// can cause them. Every refusal is counted anyway. Any loop.
type refusalLog struct {
	logger *slog.Logger

	mu      sync.Mutex
	limits  [handshake.RefusalReasonCount]*rate.Limiter // guarded by mu; nil: no line yet
	leftOut [handshake.RefusalReasonCount]uint64        // guarded by mu: since the reason's last line
}

// variableOf names what to look at for a reason; "" is for refusals that are no mistake of anybody's.
func variableOf(reason handshake.RefusalReason) string {
	switch reason {
	case handshake.ReasonProxyMissing, handshake.ReasonProxyInvalid:
		return "WS_PROXY_PROTOCOL"
	case handshake.ReasonProxyUntrusted:
		return "WS_TRUSTED_PROXIES"
	case handshake.ReasonOrigin:
		return "WS_ALLOWED_ORIGINS"
	case handshake.ReasonTokenSignature:
		return "JWT_SECRET_KEY"
	case handshake.ReasonTokenAlgorithm, handshake.ReasonTokenKey:
		return "JWT_SECRET_KEY, JWT_PUBLIC_KEY_FILE, JWT_JWKS_URL"
	case handshake.ReasonTokenIssuer:
		return "JWT_ISSUER"
	case handshake.ReasonTokenAudience:
		return "JWT_AUDIENCE"
	case handshake.ReasonTokenBadGroups:
		return "WS_GROUPS"
	case handshake.ReasonTokenMalformed, handshake.ReasonTokenNoExpiry, handshake.ReasonTokenNoSubject, handshake.ReasonTokenBadSubject,
		handshake.ReasonTokenIssuedInFuture, handshake.ReasonTokenNotYetValid:
		return "none: whoever makes or sends the tokens"
	}
	return ""
}

// warn writes a line about a refusal, if it is one to write about and there is room. origin is the page's, where that is
// the reason.
func (l *refusalLog) warn(remote netip.AddrPort, refusal *handshake.Refusal, origin string) {
	variable := variableOf(refusal.Reason)
	if variable == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	limit := l.limits[refusal.Reason]
	if limit == nil {
		limit = rate.NewLimiter(rate.Every(10*time.Second), 3)
		l.limits[refusal.Reason] = limit
	}
	if !limit.Allow() {
		l.leftOut[refusal.Reason]++
		return
	}
	attrs := []any{"reason", refusal.Reason.String(), "problem", refusal.Text(), "variable", variable, "remote", addressText(remote),
		"similar_lines_left_out", l.leftOut[refusal.Reason]}
	if origin != "" {
		attrs = append(attrs, "origin", origin)
	}
	l.leftOut[refusal.Reason] = 0
	l.logger.Warn("a client was refused", attrs...)
}
