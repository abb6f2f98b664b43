package netpoll

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"roost/internal/loglimit"
	"roost/netpoll/internal/sendqueue"
	"roost/wsproto/handshake"

	"golang.org/x/sys/unix"
)

// logRefused writes a line about a refusal, at level debug.
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

// appendSocket appends remote or proxy, whichever the other end of the socket is.
func (l *loop) appendSocket(attrs []slog.Attr, socket netip.AddrPort) []slog.Attr {
	switch {
	case !socket.IsValid():
		return attrs // it was reset
	case l.server.upgrader().Trusts(socket.Addr()):
		return append(attrs, slog.String("proxy", addressText(socket)))
	}
	return append(attrs, slog.String("remote", addressText(socket)))
}

// addressText is an address as log lines show it, with its port if that is known.
func addressText(address netip.AddrPort) string {
	switch {
	case !address.IsValid():
		return ""
	case address.Port() == 0:
		return address.Addr().String()
	}
	return address.String()
}

// acceptLog warns that clients can't connect, once in ten seconds at most: accept fails, or accepted sockets have to be
// closed at once. Any loop.
type acceptLog struct {
	logger *slog.Logger
	limit  *loglimit.Limit
}

func newAcceptLog(logger *slog.Logger) *acceptLog {
	return &acceptLog{logger: logger, limit: loglimit.New(10*time.Second, 1)}
}

// acceptFailed warns that accept has failed.
func (l *acceptLog) acceptFailed(err error, pause time.Duration) {
	l.warn("accepting connections fails; trying again", "error", err, "pause", pause)
}

// unanswered warns that a socket was closed without an answer. err may be nil.
func (l *acceptLog) unanswered(why unanswered, err error) {
	l.warn("a connection was closed without an answer: no room for it", "reason", unansweredNames[why], "error", err)
}

func (l *acceptLog) warn(message string, args ...any) {
	if leftOut, ok := l.limit.Allow(); ok {
		l.logger.Error(message, append(args, "failures_since_last_line", leftOut+1)...)
	}
}

// lossLog warns about notifications that were dropped because there was no room for them, three lines at once and then one
// a second: a client that stops reading loses many. Any loop.
type lossLog struct {
	logger *slog.Logger
	limit  *loglimit.Limit
}

func newLossLog(logger *slog.Logger) *lossLog {
	return &lossLog{logger: logger, limit: loglimit.New(time.Second, 3)}
}

// warn writes a line about a notification of a user. q is the loop's.
func (l *lossLog) warn(slow bool, user string, why failure, q *sendqueue.Queue) {
	leftOut, ok := l.limit.Allow()
	if !ok {
		return
	}
	message := "no room for a notification, it was dropped"
	if slow {
		message = "slow consumer: " + message
	}
	l.logger.Warn(message, "user_id", user, "reason", failureNames[why],
		"waiting", q.Len(), "waiting_bytes", q.Cost(), "similar_lines_left_out", leftOut)
}

// refusalLog warns about refusals that an operator or an integrator can mend, with the variable to look at: the page that
// is refused sees nothing but a failed connection. For each reason there are three lines at once and then one in ten
// seconds, because anybody can cause them. Any loop.
type refusalLog struct {
	logger *slog.Logger
	limits [handshake.RefusalReasonCount]*loglimit.Limit
}

func newRefusalLog(logger *slog.Logger) *refusalLog {
	l := &refusalLog{logger: logger}
	for reason := range l.limits {
		l.limits[reason] = loglimit.New(10*time.Second, 3)
	}
	return l
}

// variableOf names the variable to look at for a reason; "" is for refusals that are not a mistake.
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

// warn writes a line about a refusal that somebody can mend. origin is that of the page, if that is the reason.
func (l *refusalLog) warn(remote netip.AddrPort, refusal *handshake.Refusal, origin string) {
	variable := variableOf(refusal.Reason)
	if variable == "" {
		return
	}
	leftOut, ok := l.limits[refusal.Reason].Allow()
	if !ok {
		return
	}
	attrs := []any{"reason", refusal.Reason.String(), "problem", refusal.Text(), "variable", variable,
		"remote", addressText(remote), "similar_lines_left_out", leftOut}
	if origin != "" {
		attrs = append(attrs, "origin", origin)
	}
	l.logger.Warn("a client was refused", attrs...)
}

// peer returns the address and port of the other end of a socket; the zero value if the socket was reset.
func peer(fd int32) netip.AddrPort {
	address, err := unix.Getpeername(int(fd))
	if err != nil {
		return netip.AddrPort{}
	}
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}
