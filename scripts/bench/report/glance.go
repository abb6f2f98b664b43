package main

import (
	"fmt"
	"slices"
	"strings"
)

// glances are the figures that say most.
var glances = []struct {
	title string
	step  string
	figure
}{
	{"An idle connection: RssAnon", "idle", figure{Name: "RssAnon a connection", Unit: "B"}},
	{"18,000 idle connections: RssAnon in all", "idle", figure{Name: "RssAnon", At: 18_000, Unit: "MiB"}},
	{"18,000 idle connections: CPU", "idle", figure{Name: "CPU idling", At: 18_000, Unit: "% of a core"}},
	{"A handshake: CPU", "connect", figure{Name: cpuHandshake, Unit: "µs"}},
	{"A notification at 10,000 a second: CPU", "deliver-10k", figure{Name: cpuNotification, Unit: "µs"}},
	{"latency p50", "deliver-10k", figure{Name: p50, Unit: "ms"}},
	{"latency p99", "deliver-10k", figure{Name: p99, Unit: "ms"}},
	{"A notification at saturation: CPU", "deliver-max", figure{Name: cpuNotification, Unit: "µs"}},
	{"delivered", "deliver-max", figure{Name: "delivered", Unit: "a second"}},
}

// glanced reports whether a server has any of these figures.
func (s *summary) glanced(server string) bool {
	for _, g := range glances {
		if len(s.values(g.step, server, g.key())) > 0 {
			return true
		}
	}
	return false
}

// glanceTable is what the page begins with: medians only.
func (s *summary) glanceTable() string {
	servers := slices.DeleteFunc(s.servers(""), func(server string) bool {
		return server == floor || !s.glanced(server)
	})
	var text strings.Builder
	_, _ = fmt.Fprintf(&text, "| | %s | %s ÷ %s |\n|---|%s---:|\n", strings.Join(servers, " | "), ours, usual, strings.Repeat("---:|", len(servers)))
	empty := true
	for _, g := range glances {
		row := fmt.Sprintf("| %s, %s |", g.title, g.Unit)
		of := map[string]spread{}
		for _, server := range servers {
			of[server] = newSpread(s.values(g.step, server, g.key()))
			value := ""
			if of[server].n > 0 {
				value = of[server].short()
			}
			row += " " + value + " |"
		}
		if of[ours].n == 0 {
			continue
		}
		empty = false
		text.WriteString(row + " " + ratio(of[ours], of[usual]) + " |\n")
	}
	if empty {
		return ""
	}
	return text.String()
}
