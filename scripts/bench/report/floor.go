package main

import (
	"fmt"
	"strings"
)

// floors are the figures that are held against the floor.
var floors = []struct{ title, step, name, unit string }{
	{"A handshake", "connect", cpuHandshake, "µs"},
	{"its system part", "connect", "system CPU a handshake", "µs"},
	{"A notification at 10,000 a second", "deliver-10k", cpuNotification, "µs"},
	{"its system part", "deliver-10k", "system CPU a notification", "µs"},
	{"A notification at saturation", "deliver-max", cpuNotification, "µs"},
	{"its system part", "deliver-max", "system CPU a notification", "µs"},
	{"System calls of a notification at 10,000 a second", "calls-10k", "system calls a notification", ""},
	{"at saturation", "calls-max", "system calls a notification", ""},
}

// floorTable compares Roost, the window and the usual design with the floor;
// nothing where the floor was not measured.
func (s *summary) floorTable() string {
	var rows strings.Builder
	for _, f := range floors {
		k := key{name: f.name}
		least := newSpread(s.values(f.step, floor, k))
		if least.n == 0 {
			continue
		}
		_, _ = fmt.Fprintf(&rows, "| %s | %s |", strings.TrimSuffix(f.title+", "+f.unit, ", "), least)
		for _, server := range []string{ours, window, usual} {
			v := newSpread(s.values(f.step, server, k))
			text := ""
			if v.n > 0 {
				text = fmt.Sprintf("%s, %s times", number(v.median), ratio(v, least))
			}
			_, _ = fmt.Fprintf(&rows, " %s |", text)
		}
		rows.WriteString("\n")
	}
	if rows.Len() == 0 {
		return ""
	}
	return fmt.Sprintf("| | %s | %s | %s | %s |\n|---|---:|---:|---:|---:|\n%s", floor, ours, window, usual, rows.String())
}
