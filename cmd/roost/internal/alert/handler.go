package alert

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"

	"roost/cmd/roost/internal/logging"
)

// handler passes every record on, and those at logging.LevelCritical and above to the alerter too.
type handler struct {
	alerter *Alerter
	next    slog.Handler
	line    slog.Handler  // formats into shared.buf
	shared  *sharedBuffer // the same for all that With… made of one handler
}

type sharedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer // Guarded by mu.
}

// Handler returns next with critical records posted as well. For a nil Alerter it is next itself.
func (a *Alerter) Handler(next slog.Handler) slog.Handler {
	if a == nil {
		return next
	}
	shared := new(sharedBuffer)
	line := slog.NewTextHandler(&shared.buf, &slog.HandlerOptions{Level: logging.LevelCritical, ReplaceAttr: bare})
	return &handler{alerter: a, next: next, line: line, shared: shared}
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= logging.LevelCritical || h.next.Enabled(ctx, level)
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= logging.LevelCritical {
		h.alerter.Send("critical: " + h.format(ctx, r))
	}
	if !h.next.Enabled(ctx, r.Level) {
		return nil // enabled for the alerter only
	}
	return h.next.Handle(ctx, r)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{alerter: h.alerter, next: h.next.WithAttrs(attrs), line: h.line.WithAttrs(attrs), shared: h.shared}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{alerter: h.alerter, next: h.next.WithGroup(name), line: h.line.WithGroup(name), shared: h.shared}
}

// format is the message and the attributes of the record, as one line.
func (h *handler) format(ctx context.Context, r slog.Record) string {
	h.shared.mu.Lock()
	defer h.shared.mu.Unlock()
	h.shared.buf.Reset()
	_ = h.line.Handle(ctx, r) // a bytes.Buffer takes everything
	return strings.TrimSpace(strings.TrimPrefix(h.shared.buf.String(), "msg="))
}

// bare leaves out what the message's place and time in the channel say already.
func bare(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
		return slog.Attr{}
	}
	return a
}
