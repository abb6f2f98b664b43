package netpoll

import (
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"roost/wsproto"
)

// refusalLog warns about refusals that an operator or an integrator can mend, with the
// variable to look at: the page that is refused sees nothing but a failed connection. Of
// each reason there are three lines at once and then one in ten seconds, since anybody
// can cause them. Every refusal is counted anyway. Any loop.
type refusalLog struct {
	logger *slog.Logger

	mu      sync.Mutex
	limits  [wsproto.RefusalReasonCount]*rate.Limiter // guarded by mu; nil: no line yet
	leftOut [wsproto.RefusalReasonCount]uint64        // guarded by mu: since the reason's last line
}

// variableOf names what to look at for a reason; "" is for refusals that are no mistake of anybody's.
func variableOf(reason wsproto.RefusalReason) string {
	switch reason {
	case wsproto.ReasonProxyMissing, wsproto.ReasonProxyInvalid:
		return "WS_PROXY_PROTOCOL"
	case wsproto.ReasonProxyUntrusted:
		return "WS_TRUSTED_PROXIES"
	case wsproto.ReasonOrigin:
		return "WS_ALLOWED_ORIGINS"
	case wsproto.ReasonTokenSignature:
		return "JWT_SECRET_KEY"
	case wsproto.ReasonTokenAlgorithm, wsproto.ReasonTokenKey:
		return "JWT_SECRET_KEY, JWT_PUBLIC_KEY_FILE, JWT_JWKS_URL"
	case wsproto.ReasonTokenIssuer:
		return "JWT_ISSUER"
	case wsproto.ReasonTokenAudience:
		return "JWT_AUDIENCE"
	case wsproto.ReasonTokenBadGroups:
		return "WS_GROUPS"
	case wsproto.ReasonTokenMalformed, wsproto.ReasonTokenNoExpiry, wsproto.ReasonTokenNoSubject, wsproto.ReasonTokenBadSubject,
		wsproto.ReasonTokenIssuedInFuture, wsproto.ReasonTokenNotYetValid:
		return "none: whoever makes or sends the tokens"
	}
	return ""
}

// warn writes a line about a refusal, if it is one to write about and there is room. origin is the page's, where that is
// the reason.
func (l *refusalLog) warn(remote netip.AddrPort, refusal *wsproto.Refusal, origin string) {
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
