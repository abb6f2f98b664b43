package logging

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// consoleTime is the time of day to the millisecond, with the date: logs are read the next morning too.
const consoleTime = "2006-01-02 15:04:05.000"

// console formats a record as a line for reading by eye:
//
//	2026-01-02 15:04:05.000 INFO  client connected user_id=alice total_connections=3
//
// It is static after construction; With… make new ones.
type console struct {
	w      io.Writer
	level  slog.Leveler
	source bool
	prefix string // open groups, each with a dot
	attrs  string // preformatted, each with a space before it
}

func newConsole(w io.Writer, level slog.Leveler, source bool) *console {
	return &console{w: w, level: level, source: source}
}

func (c *console) Enabled(_ context.Context, level slog.Level) bool { return level >= c.level.Level() }

func (c *console) Handle(_ context.Context, r slog.Record) error {
	b := make([]byte, 0, 256)
	if !r.Time.IsZero() {
		b = r.Time.AppendFormat(b, consoleTime)
		b = append(b, ' ')
	}
	name := levelName(r.Level)
	b = append(b, name...)
	b = append(b, "      "[min(len(name), 5):]...)
	b = appendLine(b, r.Message)
	b = append(b, c.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		b = appendAttr(b, c.prefix, a)
		return true
	})
	if src := r.Source(); c.source && src != nil {
		b = append(b, " ("...)
		b = append(b, place(src)...)
		b = append(b, ')')
	}
	_, err := c.w.Write(append(b, '\n'))
	return err
}

func (c *console) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *c
	var b []byte
	for _, a := range attrs {
		b = appendAttr(b, c.prefix, a)
	}
	with.attrs += string(b)
	return &with
}

func (c *console) WithGroup(name string) slog.Handler {
	if name == "" {
		return c
	}
	with := *c
	with.prefix += name + "."
	return &with
}

// appendAttr appends " key=value"; a group's members have its name before theirs.
func appendAttr(b []byte, prefix string, a slog.Attr) []byte {
	a.Value = a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return b
	}
	if a.Value.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range a.Value.Group() {
			b = appendAttr(b, prefix, member)
		}
		return b
	}
	b = append(b, ' ')
	b = appendQuoted(b, prefix+a.Key)
	b = append(b, '=')
	return appendQuoted(b, text(a.Value))
}

func text(v slog.Value) string {
	if v.Kind() == slog.KindTime {
		return v.Time().Format(time.RFC3339Nano)
	}
	return v.String()
}

// appendQuoted appends s, quoted when it would not read as one word.
func appendQuoted(b []byte, s string) []byte {
	if s == "" || strings.ContainsFunc(s, odd) {
		return strconv.AppendQuote(b, s)
	}
	return append(b, s...)
}

func odd(r rune) bool {
	return r == '=' || r == '"' || r == unicode.ReplacementChar || unicode.IsSpace(r) || !unicode.IsPrint(r)
}

// appendLine appends a message. Characters that could begin another line, or control a terminal, are escaped.
func appendLine(b []byte, s string) []byte {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return strconv.AppendQuote(b, s)
	}
	return append(b, s...)
}
