package main

import (
	"fmt"
	"slices"
	"strings"
)

// The servers by their labels.
const (
	ours   = "roost"
	window = "roost 1ms" // with WS_FLUSH_WINDOW=1ms
	usual  = "gorilla"   // the design that Roost replaces
	secure = "roost TLS" // clients come by wss://
	floor  = "floor"     // not a server but what the kernel costs
)

// quiet are figures that are shown only where they are not 0: what must not
// happen and does not.
var quiet = []string{"duplicates", "out of order", "for another user", "connections lost"}

// table writes one step: a row a figure, a column a server.
func (s *summary) table(step string) string {
	servers := s.servers(step)
	var text strings.Builder
	header, rule := "| |", "|---|"
	for _, server := range servers {
		header += " " + server + " |"
		rule += "---:|"
	}
	compared := slices.Contains(servers, ours) && slices.Contains(servers, usual)
	if compared {
		header += " " + ours + " ÷ " + usual + " |"
		rule += "---:|"
	}
	_, _ = fmt.Fprintf(&text, "%s\n%s\n", header, rule)
	for _, f := range s.figures(step) {
		s.row(&text, step, f, servers, compared)
	}
	return text.String()
}

// figures are the rows of a step, without their values.
func (s *summary) figures(step string) []figure {
	var rows []figure
	for _, m := range s.of(step, "") {
		for _, f := range m.Figures {
			if !slices.ContainsFunc(rows, func(r figure) bool { return r.key() == f.key() }) {
				rows = append(rows, f)
			}
		}
	}
	return rows
}

func (s *summary) row(text *strings.Builder, step string, f figure, servers []string, compared bool) {
	of := map[string]spread{}
	all := 0.0
	for _, server := range servers {
		of[server] = newSpread(s.values(step, server, f.key()))
		all += of[server].high
	}
	if all == 0 && slices.Contains(quiet, f.Name) {
		return
	}
	_, _ = fmt.Fprintf(text, "| %s |", rowName(f))
	for _, server := range servers {
		_, _ = fmt.Fprintf(text, " %s |", of[server])
	}
	if compared {
		_, _ = fmt.Fprintf(text, " %s |", ratio(of[ours], of[usual]))
	}
	text.WriteString("\n")
}

// title is the figure's name, with the size that it was measured at.
func (f figure) title() string {
	if f.At == 0 {
		return f.Name
	}
	return f.Name + " at " + commas(fmt.Sprint(f.At))
}

func rowName(f figure) string {
	name := f.title()
	if f.Unit != "" {
		name += ", " + f.Unit
	}
	return name
}
