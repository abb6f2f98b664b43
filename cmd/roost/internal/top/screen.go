package top

import (
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"roost/cmd/roost/internal/printable"
	"roost/httpapi"
)

// look is how a screen is written. Every mark that has a colour is a word or a number as well.
type look struct {
	width, height int  // of the terminal; height 0: as many lines as there are
	plain         bool // no escape sequences
	ascii         bool // nothing but ASCII: the terminal's character set is not UTF-8
}

// The styles, in the terminal's own sixteen colours, which its owner chose to be readable.
var (
	bold  = ansi.NewStyle(ansi.AttrBold)
	faint = ansi.NewStyle(ansi.AttrFaint)
	good  = ansi.NewStyle(ansi.AttrGreenForegroundColor, ansi.AttrBold)
	warn  = ansi.NewStyle(ansi.AttrYellowForegroundColor, ansi.AttrBold)
	bad   = ansi.NewStyle(ansi.AttrRedForegroundColor, ansi.AttrBold)
	drawn = ansi.NewStyle(ansi.AttrCyanForegroundColor)
)

func (l look) styled(style ansi.Style, text string) string {
	if l.plain || text == "" {
		return text
	}
	return style.Styled(text)
}

// narrow terminals get no history beside the numbers.
func (l look) narrow() bool { return l.width < 64 }

// screen is the whole view. Each line fits into the width, and all of them into the height.
func (l look) screen(s *state, footer string) []string {
	lines := l.head(s)
	if s.now != nil {
		lines = append(lines, l.span(s))
		lines = append(lines, l.numbers(s)...)
		lines = append(lines, l.parts(s, len(lines), footer != "")...)
	}
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, l.width, l.dots())
	}
	if l.height == 0 {
		return lines
	}
	room := l.height
	if footer != "" {
		room--
	}
	lines = lines[:min(len(lines), max(room, 0))]
	if footer != "" {
		for len(lines) < room {
			lines = append(lines, "")
		}
		lines = append(lines, l.styled(faint, ansi.Truncate(footer, l.width, l.dots())))
	}
	return lines
}

func (l look) dots() string {
	if l.ascii {
		return "."
	}
	return "…"
}

// head says which server this is and what is wrong with it.
func (l look) head(s *state) []string {
	if s.now == nil {
		if s.failure != "" {
			return []string{l.styled(bad, shown(s.failure))}
		}
		return []string{"connecting" + l.dots()}
	}
	status, style := s.now.Status, bad
	switch {
	case s.failure != "":
		status = "no answer"
	case status == "healthy":
		style = good
	case status == "draining":
		style = warn
	}
	name := l.styled(bold, "roost") + " " + shown(s.now.Host) + "  " + shown(s.now.Version) + "  up " + duration(time.Duration(s.now.Uptime)*time.Second)
	lines := []string{l.ends(name, l.styled(style, status))}
	for _, trouble := range troubles(s) {
		lines = append(lines, l.wrapped(bad, trouble)...)
	}
	return lines
}

// troubles are what is wrong, in sentences.
func troubles(s *state) (all []string) {
	if s.failure != "" {
		all = append(all, "No answer since "+s.answered.UTC().Format("15:04:05")+" UTC: "+shown(s.failure))
	}
	if s.now.Redis.Status != "connected" {
		text := "Redis is away"
		if since, err := time.Parse(time.RFC3339, s.now.Redis.Since); err == nil {
			text += " since " + since.UTC().Format("15:04:05") + " UTC"
		}
		if s.now.Redis.Error != "" {
			text += ": " + shown(s.now.Redis.Error)
		}
		all = append(all, text)
	}
	if s.now.TokenKeys != nil {
		all = append(all, "Tokens can't be checked: "+shown(s.now.TokenKeys.Error))
	}
	return all
}

func (l look) wrapped(style ansi.Style, text string) (lines []string) {
	for line := range strings.SplitSeq(ansi.Wordwrap(text, l.width, " "), "\n") {
		lines = append(lines, l.styled(style, line))
	}
	return lines
}

// ends puts two texts at the two ends of a line; on a terminal that is too narrow the right one goes first.
func (l look) ends(left, right string) string {
	room := l.width - ansi.StringWidth(right) - 2
	if room <= 0 {
		return right
	}
	left = ansi.Truncate(left, room, l.dots())
	return left + strings.Repeat(" ", l.width-ansi.StringWidth(left)-ansi.StringWidth(right)) + right
}

// shown is text of the server as a terminal may get it.
func shown(text string) string { return string(printable.Line([]byte(text))) }

// The widths of a row's parts: the longest label, the number, the note. The rest is for the history.
const (
	labelWidth  = 17
	numberWidth = 18
	noteWidth   = 24
	leastDrawn  = 8
)

// drawable is how many columns the history has; 0 if it is not drawn.
func (l look) drawable() int {
	room := min(l.width-labelWidth-numberWidth-noteWidth, keptSamples)
	if l.narrow() || l.ascii || room < leastDrawn {
		return 0
	}
	return room
}

// span says above the history how much of it is drawn.
func (l look) span(s *state) string {
	samples := min(len(s.samples), l.drawable())
	if samples < 2 || s.now.HistoryEvery == 0 {
		return ""
	}
	return l.ends("", l.styled(faint, "last "+duration(time.Duration(float64(samples)*s.now.HistoryEvery*float64(time.Second)))))
}

// numbers are the rows with what happens now, and beside each the last minutes.
func (l look) numbers(s *state) []string {
	o := s.now
	perSecond := func(of func(*httpapi.Overview) float64) string {
		if n, ok := s.perSecond(of); ok {
			return rate(n)
		}
		return "–"
	}
	latest, _ := s.latest()
	lines := []string{
		l.row(s, "Connections", count(float64(o.Connections))+" of "+count(float64(most(o))), counted(uint64(o.Users), "user"),
			func(s *httpapi.Sample) float64 { return float64(s.Connections) }),
		l.row(s, "Notifications/s", perSecond(func(o *httpapi.Overview) float64 { return float64(o.Counters.Received) }), "from Redis",
			func(s *httpapi.Sample) float64 { return s.Received }),
		l.row(s, "Deliveries/s", perSecond(func(o *httpapi.Overview) float64 { return float64(o.Counters.Sent) }), count(float64(o.Waiting))+" wait",
			func(s *httpapi.Sample) float64 { return s.Sent }),
		l.row(s, "Failed/s", perSecond(func(o *httpapi.Overview) float64 { return float64(o.Counters.Failed) }), count(float64(o.Counters.Failed))+" in all",
			func(s *httpapi.Sample) float64 { return s.Failed }),
		l.row(s, "Latency p99", milliseconds(latest.P99), "median "+milliseconds(latest.P50),
			func(s *httpapi.Sample) float64 { return value(s.P99) }),
		l.row(s, "Refused/s", perSecond(func(o *httpapi.Overview) float64 { return total(o.Refused) }), count(total(o.Refused))+" in all",
			func(s *httpapi.Sample) float64 { return s.Refused }),
		l.row(s, "Closed/s", perSecond(func(o *httpapi.Overview) float64 { return total(o.Closed) }), count(total(o.Closed))+" in all",
			func(s *httpapi.Sample) float64 { return s.Closed }),
		l.row(s, "Slow clients", count(float64(o.Stalled)), "take nothing now", nil),
		l.row(s, "Memory", size(float64(o.Memory)), each(o), nil),
		l.row(s, "Redis", redis(o), counted(o.Counters.Gaps, "gap")+", "+counted(o.Counters.Reconnects, "reconnect"), nil),
	}
	if o.Resume != nil {
		lines = append(lines, l.row(s, "Resume", duration(time.Duration(o.Resume.Window*float64(time.Second))),
			count(float64(o.Resume.Resumed))+" resumed, "+counted(o.Resume.Gaps, "gap"), nil))
	}
	return lines
}

func most(o *httpapi.Overview) int64 {
	if len(o.Limits) == 0 {
		return 0
	}
	return o.Limits[0].Max
}

func each(o *httpapi.Overview) string {
	if o.MemoryEach <= 0 {
		return "of the process"
	}
	return size(o.MemoryEach) + " a connection"
}

func redis(o *httpapi.Overview) string {
	if o.Redis.Status != "connected" {
		return "away"
	}
	return milliseconds(o.Redis.PingMS)
}

func value(p *float64) float64 {
	if p == nil {
		return 0
	}
	return *p
}

// row is one number, a note, and its last minutes where of says how they are read.
func (l look) row(s *state, label, number, note string, of func(*httpapi.Sample) float64) string {
	line := label + strings.Repeat(" ", labelWidth-len(label)) + l.styled(bold, number)
	if l.narrow() {
		if ansi.StringWidth(line)+2+ansi.StringWidth(note) <= l.width {
			line += "  " + l.styled(faint, note)
		}
		return line
	}
	line += strings.Repeat(" ", max(1, numberWidth-ansi.StringWidth(number))) + l.styled(faint, note)
	room := l.drawable()
	if of == nil || room == 0 {
		return line
	}
	line += strings.Repeat(" ", max(0, l.width-room-ansi.StringWidth(line)))
	return line + l.styled(drawn, sparkline(s.samples, of, room))
}

// sparkline draws the last samples, the newest at the right, each as a block as high as its share of the highest.
func sparkline(samples []httpapi.Sample, of func(*httpapi.Sample) float64, width int) string {
	samples = samples[max(0, len(samples)-width):]
	highest := 0.0
	for i := range samples {
		highest = max(highest, of(&samples[i]))
	}
	blocks := []rune("▁▂▃▄▅▆▇█")
	line := []rune(strings.Repeat(" ", width-len(samples)))
	for i := range samples {
		block := 0
		if highest > 0 {
			block = int(of(&samples[i]) / highest * float64(len(blocks)-1))
		}
		line = append(line, blocks[block])
	}
	return string(line)
}
