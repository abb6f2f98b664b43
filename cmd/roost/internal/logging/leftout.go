package logging

import (
	"bytes"
	"context"
	"log/slog"
	"time"
)

// leftOut makes the line that says how many lines could not be written, in the log's own format.
func leftOut(cfg Config) func(lines uint64) []byte {
	var buf bytes.Buffer // used by the writer's goroutine only
	cfg.Development = false
	h := format(cfg, &buf, slog.LevelWarn)
	return func(lines uint64) []byte {
		buf.Reset()
		r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines left out: they came faster than they were read", 0)
		r.AddAttrs(slog.Uint64("lines", lines))
		_ = h.Handle(context.Background(), r) // a bytes.Buffer takes everything
		return buf.Bytes()
	}
}
