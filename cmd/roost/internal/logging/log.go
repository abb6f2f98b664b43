package logging

import (
	"io"
	"log/slog"
	"time"
)

// LevelCritical is for what ends the service or needs a person now. It is printed as CRITICAL.
const LevelCritical = slog.Level(12)

// defaultBuffer holds some 4,000 lines: a reader that pauses for a moment loses nothing.
const defaultBuffer = 1 << 20

// Config says how to log.
type Config struct {
	Writer      io.Writer  // where lines go; only the Log's own goroutine writes to it
	Level       slog.Level // least severe level at the start
	Console     bool       // lines for reading by eye; JSON otherwise
	Development bool       // adds where in the source a line comes from
	Buffer      int        // bytes of lines that may wait for the writer; 0: 1 MiB
}

// Log is a running log. All its methods may be called on any goroutine.
type Log struct {
	queue   *queue
	level   *slog.LevelVar
	handler slog.Handler
}

// New starts the writer's goroutine; Close ends it.
func New(cfg Config) *Log {
	if cfg.Buffer <= 0 {
		cfg.Buffer = defaultBuffer
	}
	l := &Log{level: new(slog.LevelVar)}
	l.level.Set(cfg.Level)
	l.queue = newQueue(cfg.Writer, cfg.Buffer, leftOut(cfg))
	l.handler = &handler{queue: l.queue, next: format(cfg, l.queue, l.level)}
	return l
}

// Handler gives records to the log. Handle never blocks and never fails.
func (l *Log) Handler() slog.Handler { return l.handler }

// Logger is a logger with the log's Handler.
func (l *Log) Logger() *slog.Logger { return slog.New(l.handler) }

// SetLevel changes the least severe level that is logged.
func (l *Log) SetLevel(level slog.Level) { l.level.Set(level) }

// Level is the least severe level that is logged.
func (l *Log) Level() slog.Level { return l.level.Level() }

// Dropped counts the lines left out so far, because the buffer was full, the writer failed, or the log was closed.
func (l *Log) Dropped() uint64 { return l.queue.droppedLines() }

// Close waits until what has been logged is written, at most for timeout, and ends the log: later lines are counted as
// dropped. Its error says how many lines could not be written in time. A writer that hangs keeps its goroutine until
// the process ends; nothing can be done about that.
func (l *Log) Close(timeout time.Duration) error { return l.queue.close(timeout) }
