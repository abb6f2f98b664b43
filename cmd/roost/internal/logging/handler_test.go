package logging

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"
	"time"
)

func TestJSONConforms(t *testing.T) {
	t.Parallel()
	var out lockedBuffer
	l := New(Config{Writer: &out})
	err := slogtest.TestHandler(l.Handler(), func() []map[string]any {
		closeLog(t, l)
		return decode(t, out.String())
	})
	if err != nil {
		t.Error(err)
	}
}

func decode(t *testing.T, lines string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(lines) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		all = append(all, m)
	}
	return all
}

func TestConsoleConforms(t *testing.T) {
	t.Parallel()
	var out lockedBuffer
	l := New(Config{Writer: &out, Console: true})
	err := slogtest.TestHandler(l.Handler(), func() []map[string]any {
		closeLog(t, l)
		var all []map[string]any
		for line := range strings.Lines(out.String()) {
			all = append(all, parseConsole(line))
		}
		return all
	})
	if err != nil {
		t.Error(err)
	}
}

// parseConsole reads lines whose values have no spaces.
func parseConsole(line string) map[string]any {
	m := map[string]any{}
	fields := strings.Fields(line)
	if strings.HasPrefix(fields[0], "20") {
		m[slog.TimeKey] = fields[0] + fields[1]
		fields = fields[2:]
	}
	m[slog.LevelKey], m[slog.MessageKey] = fields[0], fields[1]
	for _, f := range fields[2:] {
		key, value, _ := strings.Cut(f, "=")
		groups := strings.Split(key, ".")
		into := m
		for _, g := range groups[:len(groups)-1] {
			if into[g] == nil {
				into[g] = map[string]any{}
			}
			into = into[g].(map[string]any)
		}
		into[groups[len(groups)-1]] = value
	}
	return m
}

type secretive struct{}

func (secretive) LogValue() slog.Value { return slog.StringValue("resolved") }

func TestConsoleLines(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	const head = "2026-01-02 03:04:05.678 "
	for _, tt := range []struct {
		name  string
		level slog.Level
		msg   string
		attrs []slog.Attr
		want  string
	}{
		{"plain", slog.LevelInfo, "client connected", []slog.Attr{slog.String("user_id", "alice"), slog.Int("total_connections", 3)},
			"INFO  client connected user_id=alice total_connections=3"},
		{"levels line up", slog.LevelError, "m", nil, "ERROR m"},
		{"critical", LevelCritical, "m", nil, "CRITICAL m"},
		{"between levels", slog.LevelInfo + 1, "m", nil, "INFO+1 m"},
		{"quoted", slog.LevelWarn, "m", []slog.Attr{slog.String("a", "two words"), slog.String("b", ""), slog.String("c", `"`),
			slog.String("d", "x=y"), slog.String("e e", "é")}, `WARN  m a="two words" b="" c="\"" d="x=y" "e e"=é`},
		{"cannot pass for another line", slog.LevelInfo, "x\nINFO y", []slog.Attr{slog.String("a", "\x1b[31m\n"), slog.String("b", "\xff")},
			`INFO  "x\nINFO y" a="\x1b[31m\n" b="\xff"`},
		{"kinds", slog.LevelInfo, "m", []slog.Attr{slog.Duration("d", time.Second), slog.Time("t", at), slog.Bool("b", true),
			slog.Any("err", errors.New("no way")), slog.Any("nil", nil), slog.Any("v", secretive{})},
			`INFO  m d=1s t=2026-01-02T03:04:05.678Z b=true err="no way" nil=<nil> v=resolved`},
		{"groups", slog.LevelInfo, "m", []slog.Attr{slog.Group("g", slog.Int("a", 1), slog.Group("h", slog.Int("b", 2))),
			slog.Group("", slog.Int("c", 3)), slog.Group("empty")}, "INFO  m g.a=1 g.h.b=2 c=3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out lockedBuffer
			l := New(Config{Writer: &out, Console: true})
			r := slog.NewRecord(at, tt.level, tt.msg, 0)
			r.AddAttrs(tt.attrs...)
			if err := l.Handler().Handle(context.Background(), r); err != nil {
				t.Error(err)
			}
			closeLog(t, l)
			if got := strings.TrimSuffix(out.String(), "\n"); got != head+tt.want {
				t.Errorf("\ngot  %s\nwant %s", got, head+tt.want)
			}
		})
	}
}

func TestJSONLevelAndSource(t *testing.T) {
	t.Parallel()
	var out lockedBuffer
	l := New(Config{Writer: &out, Development: true})
	l.Logger().Log(context.Background(), LevelCritical, "gone", slog.Any("level", "a caller's own"))
	closeLog(t, l)
	if !strings.Contains(out.String(), `"level":"CRITICAL","source":"logging/handler_test.go:`) {
		t.Error(out.String())
	}
}

func TestConsoleSource(t *testing.T) {
	t.Parallel()
	for _, development := range []bool{true, false} {
		var out lockedBuffer
		l := New(Config{Writer: &out, Console: true, Development: development})
		l.Logger().Info("here")
		closeLog(t, l)
		if got := strings.Contains(out.String(), "here (logging/handler_test.go:"); got != development {
			t.Errorf("development %t: %s", development, out.String())
		}
	}
}

func TestLevelChangesAtRunTime(t *testing.T) {
	t.Parallel()
	for _, console := range []bool{true, false} {
		var out lockedBuffer
		l := New(Config{Writer: &out, Level: slog.LevelWarn, Console: console})
		logger := l.Logger().With("a", 1).WithGroup("g") // made before the level changes
		logger.Info("one")
		l.SetLevel(slog.LevelDebug)
		logger.Debug("two")
		l.SetLevel(slog.LevelError)
		logger.Warn("three")
		closeLog(t, l)
		if got := out.String(); !strings.Contains(got, "two") || strings.Contains(got, "one") || strings.Contains(got, "three") {
			t.Errorf("console %t:\n%s", console, got)
		}
		if l.Level() != slog.LevelError {
			t.Errorf("level %s", l.Level())
		}
	}
}

// A duration is text in both encodings.
func TestDurationsAreReadable(t *testing.T) {
	t.Parallel()
	var buf strings.Builder
	logger := slog.New(slog.NewJSONHandler(&buf, &slog.HandlerOptions{ReplaceAttr: replace}))
	logger.Info("x", "pause", 1500*time.Millisecond, slog.Group("g", "pause", time.Second))
	if got := buf.String(); !strings.Contains(got, `"pause":"1.5s"`) || !strings.Contains(got, `"g":{"pause":"1s"}`) {
		t.Errorf("logged %s", got)
	}
}

// Text from strangers is logged, and steers no terminal.
func TestNothingSteersATerminal(t *testing.T) {
	t.Parallel()
	const steering = "\x1b[2J\u009b31m\u202egpj.exe\u2066\x7f\r\u2028"
	for _, console := range []bool{false, true} {
		var out lockedBuffer
		l := New(Config{Writer: &out, Console: console})
		l.Logger().Info("said "+steering, "user_id", steering, steering, "x", slog.Group("g", "error", errors.New(steering)))
		closeLog(t, l)
		line, one := strings.CutSuffix(out.String(), "\n")
		if !one || strings.ContainsAny(line, steering[:1]+"\u009b\u202e\u2066\x7f\r\n\u2028") {
			t.Errorf("console %t: %q", console, line)
		}
		if !console {
			if m := decode(t, out.String()); m[0]["user_id"] != steering {
				t.Errorf("it is logged as %q", m[0]["user_id"])
			}
		}
	}
}
