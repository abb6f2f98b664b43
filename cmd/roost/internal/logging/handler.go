package logging

import (
	"context"
	"io"
	"log/slog"
	"path"
	"strconv"

	"roost/cmd/roost/internal/printable"
)

// handler stands before the formatting handler to spare its work while the buffer is full.
type handler struct {
	queue *queue
	next  slog.Handler
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if h.queue.dropIfFull() {
		return nil
	}
	return h.next.Handle(ctx, r)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{queue: h.queue, next: h.next.WithAttrs(attrs)}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{queue: h.queue, next: h.next.WithGroup(name)}
}

// format is the handler that makes lines, one Write each.
func format(cfg Config, w io.Writer, level slog.Leveler) slog.Handler {
	if cfg.Console {
		return newConsole(w, level, cfg.Development)
	}
	return slog.NewJSONHandler(printable.Writer(w), &slog.HandlerOptions{Level: level, AddSource: cfg.Development, ReplaceAttr: replace})
}

// replace names LevelCritical, shortens the source to dir/file.go:line, and
// writes durations as people do (5s): a bare number of nanoseconds says nothing.
func replace(groups []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
		return a
	}
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.LevelKey:
		if level, ok := a.Value.Any().(slog.Level); ok {
			a.Value = slog.StringValue(levelName(level))
		}
	case slog.SourceKey:
		if source, ok := a.Value.Any().(*slog.Source); ok && source != nil {
			a.Value = slog.StringValue(place(source))
		}
	}
	return a
}

func levelName(l slog.Level) string {
	if l == LevelCritical {
		return "CRITICAL"
	}
	return l.String()
}

func place(s *slog.Source) string {
	return path.Join(path.Base(path.Dir(s.File)), path.Base(s.File)) + ":" + strconv.Itoa(s.Line)
}
