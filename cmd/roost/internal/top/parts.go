package top

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"roost/httpapi"
)

// parts are the loops and the limits, as many as fit below the lines that are there. They stand side by side on a wide terminal, and on one
// of the usual 80 columns that is too low for one below the other.
func (l look) parts(s *state, above int, footer bool) []string {
	room := -1 // as many as there are
	if l.height > 0 {
		room = l.height - above
		if footer {
			room -= 2
		}
	}
	if high := 5 + len(s.now.Loops) + len(s.now.Limits); l.width >= 100 || l.width >= 76 && room >= 0 && room < high {
		const between, loopsNeed = 4, 36
		left, right := l, l
		left.width = max((l.width-between)/2, loopsNeed)
		if l.width < 100 {
			left.width = loopsNeed
		}
		right.width = l.width - between - left.width
		return beside(left.loops(s, room), right.limits(s.now, room), left.width+between)
	}
	if room < 0 {
		return append(l.loops(s, room), l.limits(s.now, room)...)
	}
	const forLimits = 6 // lines that the loops leave, where there are more of them than fit
	loops := l.loops(s, max(room-forLimits, room/2))
	return append(loops, l.limits(s.now, room-len(loops))...)
}

// beside puts columns side by side, the second at a position.
func beside(left, right []string, position int) (lines []string) {
	for i := range max(len(left), len(right)) {
		line := ""
		if i < len(left) {
			line = left[i]
		}
		if i < len(right) {
			line += strings.Repeat(" ", max(0, position-ansi.StringWidth(line))) + right[i]
		}
		lines = append(lines, line)
	}
	return lines
}

// loops is how busy the feed and each loop are. room is how many lines there are, -1 for any number; a view that has room for
// nothing below its heading has no lines.
func (l look) loops(s *state, room int) []string {
	rows := []string{l.loop("feed", s, func(o *httpapi.Overview) (float64, bool) { return o.FeedBusy, true }, "")}
	for i, loop := range s.now.Loops {
		note := ""
		if loop.Mailbox > 0 {
			note = count(float64(loop.Mailbox)) + " wait"
		}
		rows = append(rows, l.loop(fmt.Sprintf("loop %d", i), s, func(o *httpapi.Overview) (float64, bool) {
			if i >= len(o.Loops) {
				return 0, false
			}
			return o.Loops[i].Busy, true
		}, note))
	}
	return l.fitted("Busy, of its time", rows, "loops", room)
}

func (l look) loop(name string, s *state, of func(*httpapi.Overview) (float64, bool), note string) string {
	share, known := 0.0, false
	if seconds := s.seconds(); seconds > 0 {
		now, _ := of(s.now)
		if before, ok := of(s.before); ok {
			share, known = min(1, max(0, (now-before)/seconds)), true
		}
	}
	text := "–"
	if known {
		text = percent(share)
	}
	return l.gauge(name, 9, share, 0.8, 0.95, text, note)
}

// limits is how close each limit is, the closest first as the server orders them.
func (l look) limits(o *httpapi.Overview, room int) []string {
	var rows []string
	for _, limit := range o.Limits {
		if limit.Max <= 0 {
			continue
		}
		write := count
		if limit.Unit == "bytes" {
			write = size
		}
		share := float64(limit.Used) / float64(limit.Max)
		warnAt, badAt, note := 0.8, 0.95, write(float64(limit.Used))+" of "+write(float64(limit.Max))
		if limit.Cycle {
			warnAt, badAt, note = 2, 2, note+", full by design"
		}
		rows = append(rows, l.gauge(shown(limit.Name), min(38, max(l.width/2, l.width-17)), share, warnAt, badAt, percent(share), note))
	}
	return l.fitted("Limits", rows, "limits", room)
}

// fitted is a heading and its rows, as many as there is room for, with a last line that says how many are left out.
func (l look) fitted(title string, rows []string, what string, room int) []string {
	if len(rows) == 0 || room >= 0 && room < 3 {
		return nil
	}
	if room >= 0 && len(rows) > room-2 {
		left := len(rows) - (room - 3)
		rows = append(rows[:room-3:room-3], l.styled(faint, fmt.Sprintf("%d more %s: a higher terminal shows them", left, what)))
	}
	return append([]string{"", l.styled(bold, title)}, rows...)
}

// gauge is a name, a bar, the share in figures, and a note where there is room for it.
func (l look) gauge(name string, nameWidth int, share, warnAt, badAt float64, text, note string) string {
	name = ansi.Truncate(name, nameWidth, l.dots())
	line := name + strings.Repeat(" ", nameWidth+1-ansi.StringWidth(name))
	style := drawn
	switch {
	case share >= badAt:
		style = bad
	case share >= warnAt:
		style = warn
	}
	bar := min(20, max(l.width-nameWidth-29, 10), l.width-nameWidth-8)
	if bar >= 4 {
		line += l.bar(share, bar, style) + " "
	}
	line += strings.Repeat(" ", max(0, 5-ansi.StringWidth(text))) + l.styled(style, text)
	if note != "" && ansi.StringWidth(line)+2+ansi.StringWidth(note) <= l.width {
		line += "  " + l.styled(faint, note)
	}
	return line
}

// bar is a share of a width. Anything above 0 is seen, and only what is full looks full.
func (l look) bar(share float64, width int, style ansi.Style) string {
	full := int(share*float64(width) + 0.5)
	if share > 0 {
		full = max(full, 1)
	}
	if share < 1 {
		full = min(full, width-1)
	}
	full = min(full, width)
	on, off := "█", "░"
	if l.ascii {
		on, off = "#", "."
	}
	return l.styled(style, strings.Repeat(on, full)) + l.styled(faint, strings.Repeat(off, width-full))
}
