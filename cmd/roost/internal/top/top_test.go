package top

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"roost/httpapi"
)

// overview is an answer of a server that is seconds old.
func overview(t *testing.T, seconds int) *httpapi.Overview {
	t.Helper()
	p50, p99 := 0.12, 1.98
	o := &httpapi.Overview{
		At: int64(seconds) * 1000, Started: 1, Host: "ws-1", Version: "v0.9.0", Uptime: int64(seconds), Status: "healthy",
		Connections: 1234, Users: 1100, Waiting: 7, Stalled: 3, Memory: 45 << 20, MemoryEach: 197,
		Counters: httpapi.OverviewCounters{Received: uint64(100 * seconds), Sent: uint64(2000 * seconds), Failed: 4, Gaps: 2, Reconnects: 1},
		FeedBusy: 0.1 * float64(seconds),
		Loops:    []httpapi.OverviewLoop{{Busy: 0.4 * float64(seconds)}, {Busy: 0.97 * float64(seconds), Mailbox: 12}},
		Limits: []httpapi.Limit{
			{Name: "Connections", Used: 1234, Max: 100000}, {Name: "Waiting for clients that take nothing", Unit: "bytes", Used: 96 << 20, Max: 100 << 20},
			{Name: "Unlimited", Used: 5}, {Name: "Kept for clients that come back", Used: 99, Max: 100, Cycle: true},
		},
		Refused: map[string]uint64{"full": 11, "token_expired": 12}, Closed: map[string]uint64{"client_left": uint64(seconds)},
		HistoryEvery: 10,
		Resume:       &httpapi.OverviewResume{Window: 120, Wanted: 120, Resumed: 9, Gaps: 1},
	}
	o.Redis.Status, o.Redis.PingMS = "connected", &p50
	for i := range 30 {
		o.History = append(o.History, httpapi.Sample{At: int64(i), Connections: 1000 + i, Received: float64(i), P50: &p50, P99: &p99})
	}
	return o
}

func twoAnswers(t *testing.T) *state {
	t.Helper()
	s := new(state)
	s.answer(overview(t, 100), time.Unix(100, 0))
	later := overview(t, 102)
	later.History = nil
	s.answer(later, time.Unix(102, 0))
	return s
}

func TestScreenSays(t *testing.T) {
	t.Parallel()
	text := strings.Join(look{width: 120, plain: true}.screen(twoAnswers(t), ""), "\n")
	for _, want := range []string{
		"roost ws-1  v0.9.0  up 1 min 42 s", "healthy", "1,234 of 100,000", "1,100 users", "Notifications/s  100 ", "Deliveries/s     2,000", "7 wait",
		"4 in all", "1.98 ms", "median 0.12 ms", "Closed/s         1.0", "23 in all", "Slow clients     3", "45.0 MiB", "197 B a connection",
		"2 gaps, 1 reconnect", "9 resumed, 1 gap", "2 min", "▁▁▁▁▁▂▂▂▂▃▃▃▃▄▄▄▄▅▅▅▅▆▆▆▆▇▇▇▇█", "feed", "10 %", "loop 0", "40 %", "loop 1", "97 %", "12 wait",
		"Limits", "Waiting for clients that take nothing  █████████░  96 %", "Kept for clients that come back", "last 5 min",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "Unlimited") || strings.Contains(text, "\x1b") {
		t.Errorf("what has no limit, or an escape sequence, is in\n%s", text)
	}
}

// What is full by design is not shown as trouble.
func TestScreenOfWhatIsFullByDesign(t *testing.T) {
	t.Parallel()
	for _, by := range []bool{false, true} {
		o := &httpapi.Overview{Limits: []httpapi.Limit{{Name: "ring", Used: 99, Max: 100, Cycle: by}}}
		l := look{width: 120}
		text := strings.Join(l.limits(o, -1), "\n")
		if red := l.styled(bad, "99 %"); strings.Contains(text, red) == by || strings.Contains(text, "99 of 100, full by design") != by {
			t.Errorf("full by design %v: %q", by, text)
		}
	}
}

// With one answer nothing can be said of a second.
func TestScreenOfOneAnswer(t *testing.T) {
	t.Parallel()
	s := new(state)
	s.answer(overview(t, 100), time.Unix(100, 0))
	text := strings.Join(look{width: 80, plain: true}.screen(s, ""), "\n")
	if !strings.Contains(text, "Notifications/s  –") || !strings.Contains(text, "loop 0") || strings.Contains(text, "%!") {
		t.Errorf("%s", text)
	}
}

// Every size of terminal gets lines that fit, whatever is wrong, with what matters most at the top.
func TestScreenFits(t *testing.T) {
	t.Parallel()
	trouble := twoAnswers(t)
	trouble.failure = strings.Repeat("nothing listens on there ", 9)
	trouble.now.Redis.Status, trouble.now.Redis.Error, trouble.now.Redis.Since = "disconnected", "connection refused", "2026-11-29T12:00:01.000Z"
	many := twoAnswers(t)
	for len(many.now.Loops) < 64 {
		many.now.Loops = append(many.now.Loops, httpapi.OverviewLoop{})
	}
	for name, s := range map[string]*state{"nothing yet": {}, "no server": {failure: "refused"}, "well": twoAnswers(t), "trouble": trouble, "64 loops": many} {
		for _, l := range []look{{}, {plain: true}, {ascii: true}} {
			for width := 1; width < 200; width += 3 {
				for height := 1; height < 60; height += 4 {
					l.width, l.height = width, height
					lines := l.screen(s, "q quit")
					if len(lines) > height {
						t.Fatalf("%s: %d lines for a height of %d", name, len(lines), height)
					}
					for _, line := range lines {
						if ansi.StringWidth(line) > width || strings.Contains(line, "\n") {
							t.Fatalf("%s: %q is wider than %d", name, line, width)
						}
						if l.ascii && strings.ContainsAny(ansi.Strip(line), "▁█░…") {
							t.Fatalf("%s: %q is not for this terminal", name, line)
						}
					}
				}
			}
		}
	}
	small := strings.Join(look{width: 30, height: 12, plain: true}.screen(trouble, "q quit"), "\n")
	if !strings.Contains(small, "no answer") || !strings.Contains(small, "No answer since 00:01:42 UTC") {
		t.Errorf("a small terminal does not say what is wrong:\n%s", small)
	}
	low := strings.Join(look{width: 80, height: 40, plain: true}.screen(many, "q quit"), "\n")
	if !strings.Contains(low, "more loops: a higher terminal shows them") || !strings.Contains(low, "Limits") {
		t.Errorf("many loops leave no room for the limits:\n%s", low)
	}
}

// A terminal of the usual size shows every loop of a small server, and the limits beside them; a pipe gets one below the other.
func TestScreenOfTheUsualSize(t *testing.T) {
	t.Parallel()
	usual := strings.Join(look{width: 80, height: 24, plain: true}.screen(twoAnswers(t), "q quit"), "\n")
	for _, want := range []string{"  last 3 min 30 s\n", "feed ", "loop 0 ", "loop 1 ", "12 wait", "Waiting for clients"} {
		if !strings.Contains(usual, want) {
			t.Errorf("no %q in\n%s", want, usual)
		}
	}
	piped := strings.Join(look{width: 80, plain: true}.screen(twoAnswers(t), ""), "\n")
	if !strings.Contains(piped, "\nWaiting for clients that take nothing ") || !strings.Contains(piped, "\nConnections ") {
		t.Errorf("a pipe gets\n%s", piped)
	}
}

// A server's texts can't steer the terminal.
func TestScreenIsSafe(t *testing.T) {
	t.Parallel()
	s := twoAnswers(t)
	const clear = "\x1b[2J"
	s.now.Host, s.now.Version, s.now.Limits[0].Name, s.failure = clear+"a\nb", clear, clear, clear+"c"
	s.now.Redis.Status, s.now.Redis.Error = "disconnected", clear
	text := strings.Join(look{width: 200, plain: true}.screen(s, ""), "")
	if strings.ContainsAny(text, "\x1b\n") {
		t.Errorf("%q", text)
	}
}

// Another process begins at 0, and the same reading twice is no time that passed.
func TestStateOfAnotherProcess(t *testing.T) {
	t.Parallel()
	s := twoAnswers(t)
	again := overview(t, 102)
	again.History = nil
	s.answer(again, time.Unix(103, 0))
	if n, ok := s.perSecond(func(o *httpapi.Overview) float64 { return float64(o.Counters.Received) }); !ok || n != 100 {
		t.Errorf("the same reading: %v, %v", n, ok)
	}
	if got := s.since(); got != 29 {
		t.Errorf("asks for the history since %d", got)
	}
	next := overview(t, 1)
	next.Started = 2
	s.answer(next, time.Unix(104, 0))
	if _, ok := s.perSecond(func(o *httpapi.Overview) float64 { return 1 }); ok || len(s.samples) != 30 {
		t.Errorf("another process: ok %v, %d samples", ok, len(s.samples))
	}
}

func TestModelKeys(t *testing.T) {
	t.Parallel()
	m := &model{ctx: t.Context(), every: 2 * time.Second, look: look{width: 80, height: 24}}
	press := func(code rune, text string) tea.Cmd {
		_, command := m.Update(tea.KeyPressMsg{Code: code, Text: text})
		return command
	}
	press('p', "p")
	if !m.paused || !strings.Contains(m.View().Content, "PAUSED") {
		t.Error("p does not pause")
	}
	press('p', "p")
	press('+', "+")
	press('+', "+")
	if m.every != leastEvery {
		t.Errorf("+ asks every %s", m.every)
	}
	for range 9 {
		press('-', "-")
	}
	if m.every != mostEvery {
		t.Errorf("- asks every %s", m.every)
	}
	if command := press('q', "q"); command == nil || command() != tea.Quit() {
		t.Error("q does not quit")
	}
}

// While a question is under way no other is asked, and what fails leaves the numbers.
func TestModelAsksOnceAtATime(t *testing.T) {
	t.Parallel()
	m := &model{ctx: t.Context(), every: time.Hour, look: look{width: 80, height: 24}}
	m.Init()
	m.Update(answerMsg{overview: overview(t, 100), at: time.Unix(100, 0)})
	m.Update(tickMsg{})
	if !m.asking {
		t.Fatal("a tick does not ask")
	}
	m.Update(answerMsg{err: errors.New("nothing listens"), at: time.Unix(102, 0)})
	if text := ansi.Strip(m.View().Content); m.asking || !strings.Contains(text, "nothing listens") || !strings.Contains(text, "1,234") {
		t.Errorf("after a failure:\n%s", text)
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	seconds := 100
	ask := func(context.Context, int64) (*httpapi.Overview, error) {
		seconds++
		return overview(t, seconds), nil
	}
	var out bytes.Buffer
	if err := Print(t.Context(), &out, ask); err != nil || !strings.Contains(out.String(), "Notifications/s  100") || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%v: %s", err, &out)
	}
	refuses := func(context.Context, int64) (*httpapi.Overview, error) { return nil, errors.New("refused") }
	if err := Print(t.Context(), &out, refuses); err == nil || err.Error() != "refused" {
		t.Errorf("a server that refuses: %v", err)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	ms := func(n float64) *float64 { return &n }
	for _, test := range []struct{ got, want string }{
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(1234567), "1,234,567"}, {count(12345678), "12.3 M"}, {count(-1234), "-1,234"},
		{rate(0), "0"}, {rate(0.25), "0.2"}, {rate(9.96), "10"}, {rate(3400), "3,400"},
		{size(0), "0 B"}, {size(1023), "1023 B"}, {size(1536), "1.5 KiB"}, {size(200 << 20), "200 MiB"}, {size(3 << 50), "3072 TiB"},
		{milliseconds(nil), "–"}, {milliseconds(ms(0.314)), "0.31 ms"}, {milliseconds(ms(12.3)), "12 ms"}, {milliseconds(ms(1234)), "1.2 s"},
		{percent(0.417), "42 %"},
		{duration(0), "0 s"}, {duration(59 * time.Second), "59 s"}, {duration(90 * time.Second), "1 min 30 s"}, {duration(76 * time.Hour), "3 d 4 h"}, {duration(time.Hour), "1 h"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}

func TestTerminals(t *testing.T) {
	t.Parallel()
	for environ, want := range map[string]bool{
		"": true, "LANG=C": false, "LANG=en_US.UTF-8": true, "LANG=en_US.UTF-8 LC_ALL=C": false, "LANG=C LC_ALL=C.utf8": true, "LC_ALL= LANG=C": false,
	} {
		if got := utf8Terminal(strings.Fields(environ)); got != want {
			t.Errorf("%s: %v", environ, got)
		}
	}
	if _, ok := Screen(new(bytes.Buffer), nil); ok {
		t.Error("a buffer is a terminal")
	}
	for every, want := range map[time.Duration]bool{0: false, time.Second: true, time.Minute: true, time.Hour: false} {
		if err := CheckEvery(every); (err == nil) != want {
			t.Error(fmt.Errorf("%s: %w", every, err))
		}
	}
}
