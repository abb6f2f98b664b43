package rules

import (
	"fmt"
	"strings"
)

// String says what may come.
func (w Want) String() string {
	if len(w.Status) > 0 {
		return w.answer()
	}
	var parts []string
	if len(w.Pongs) > 0 {
		parts = append(parts, pongWords(w.Pongs))
	}
	if len(w.Closes) == 0 {
		return strings.Join(append(parts, string(serves)), ", ")
	}
	var codes []string
	for _, code := range w.Closes {
		codes = append(codes, closeWords(code))
	}
	return strings.Join(append(parts, strings.Join(codes, " or ")+", then "+string(closed)), ", ")
}

func (w Want) answer() string {
	var all []string
	for _, status := range w.Status {
		all = append(all, statusWords(status))
	}
	text := strings.Join(all, ", ")
	if text == "101" {
		text += ", " + string(serves)
	}
	if w.Field != "" {
		text += ", with " + strings.TrimSpace(w.Field)
	}
	return text
}

// String says what came.
func (s seen) String() string {
	var parts []string
	if s.status != 0 {
		parts = append(parts, statusWords(s.status))
	}
	if len(s.pongs) > 0 {
		parts = append(parts, pongWords(s.pongs))
	}
	if s.code != 0 {
		parts = append(parts, closeWords(s.code))
	}
	if s.bad != "" {
		parts = append(parts, s.bad)
	}
	if s.end != "" {
		parts = append(parts, string(s.end))
	}
	return strings.Join(parts, ", ")
}

func pongWords(payloads []string) string {
	var all []string
	for _, p := range payloads {
		if len(p) > 8 {
			all = append(all, fmt.Sprintf("%.8q… (%d bytes)", p, len(p)))
			continue
		}
		all = append(all, fmt.Sprintf("%q", p))
	}
	if len(all) == 1 {
		return "pong " + all[0]
	}
	return "pongs " + strings.Join(all, " ")
}

func closeWords(code int) string {
	switch code {
	case NoFrame:
		return "no close frame"
	case 1005:
		return "close without a code"
	}
	return fmt.Sprintf("close %d", code)
}

func statusWords(status int) string {
	if status == NoAnswer {
		return "the end"
	}
	return fmt.Sprint(status)
}
