package main

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot/plotter"
)

// drawAll draws what there are figures for, and returns it.
func drawAll(s *summary, dir string) ([]chart, error) {
	var drawn []chart
	for _, c := range s.charts() {
		c.lines = slices.DeleteFunc(c.lines, func(l line) bool { return len(l.points) < 2 })
		if len(c.lines) == 0 {
			continue
		}
		if err := c.draw(filepath.Join(dir, c.File+".svg")); err != nil {
			return nil, err
		}
		drawn = append(drawn, c)
	}
	return drawn, nil
}

const connections = "connections"

func (s *summary) charts() []chart {
	all, close := s.grown("RssAnon"), s.grown("RssAnon")
	close = slices.DeleteFunc(close, func(l line) bool { return l.label == usual })
	return []chart{
		{File: "memory", Title: "Memory of idle connections", x: connections, y: "RssAnon, MiB", lines: all},
		{File: "memory-close", Title: "Memory of idle connections, without " + usual, x: connections, y: "RssAnon, MiB", lines: close},
		{File: "idle", Title: "CPU of idle connections", x: connections, y: "% of a core", lines: s.idleCPU()},
		{File: "handshake", Title: "CPU of a handshake as connections grow", x: connections, y: "µs, user + system", lines: s.grown("CPU of a handshake, opening up")},
		{File: "connections", Title: "CPU of a notification, 10,000 a second", x: connections, y: "µs, user + system",
			lines: s.over(cpuNotification, "--connections", "deliver-few", "deliver-10k", "deliver-many")},
		{File: "rate", Title: "CPU of a notification, by how many there are", x: "notifications a second", y: "µs, user + system",
			lines: s.over(cpuNotification, "--notify-rate", "deliver-1k", "deliver-5k", "deliver-10k", "deliver-20k")},
		{File: "registry-bytes", Title: "In memory: bytes a connection", x: connections, y: "B", logX: true, lines: s.benched("B/conn")},
		{File: "registry-time", Title: "In memory: time of an operation", x: connections, y: "ns", logX: true, lines: s.benched("ns/op", "Registry", "DeliverAbsent")},
		{File: "wheel-time", Title: "In memory: time of a timer in a tick", x: connections, y: "ns", logX: true, lines: s.benched("ns/timer")},
	}
}

// idleStep is the one that was measured: that of a short run has its own name.
func (s *summary) idleStep() string {
	if len(s.of("idle", "")) == 0 {
		return "idle-quick"
	}
	return "idle"
}

// grown is a figure of the idle step over its sizes.
func (s *summary) grown(name string) []line {
	var lines []line
	step := s.idleStep()
	for _, server := range s.servers(step) {
		l := line{label: server}
		for _, n := range s.sizes(step, server, name) {
			l.points = append(l.points, plotter.XY{X: float64(n), Y: s.at(step, server, name, n, "").value})
		}
		lines = append(lines, l)
	}
	return lines
}

// sizes are those at which a figure was taken, rising.
func (s *summary) sizes(step, server, name string) []int {
	sizes := map[int]bool{}
	for _, m := range s.of(step, server) {
		for _, f := range m.Figures {
			if f.Name == name && f.At > 0 {
				sizes[f.At] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(sizes))
}

// idleCPU begins with nobody connected.
func (s *summary) idleCPU() []line {
	lines := s.grown("CPU idling")
	for i := range lines {
		if nobody, ok := s.median(s.idleStep(), lines[i].label, "CPU with nobody connected"); ok {
			lines[i].points = slices.Insert(lines[i].points, 0, plotter.XY{Y: nobody})
		}
	}
	return lines
}

// over is a figure over a number among the flags of some steps.
func (s *summary) over(name, flag string, steps ...string) []line {
	var lines []line
	for _, server := range s.servers("") {
		l := line{label: server}
		for _, step := range steps {
			y, ok := s.median(step, server, name)
			if !ok {
				continue
			}
			if x, ok := flagNumber(s.of(step, server)[0].Args, flag); ok {
				l.points = append(l.points, plotter.XY{X: x, Y: y})
			}
		}
		lines = append(lines, l)
	}
	return lines
}

// benched is a metric of Go benchmarks over their sizes.
func (s *summary) benched(unit string, named ...string) []line {
	var lines []line
	for _, one := range s.allSeries() {
		if len(named) > 0 && !slices.ContainsFunc(named, func(n string) bool { return strings.Contains(one.name, n) }) {
			continue
		}
		l := line{label: one.name}
		for _, n := range slices.Sorted(maps.Keys(one.at)) {
			if y := one.at[n][unit]; y > 0 {
				l.points = append(l.points, plotter.XY{X: float64(n), Y: y})
			}
		}
		lines = append(lines, l)
	}
	return lines
}

// flagNumber reads the number of a flag.
func flagNumber(args []string, flag string) (float64, bool) {
	for _, arg := range args {
		if text, found := strings.CutPrefix(arg, flag+"="); found {
			v, err := strconv.ParseFloat(text, 64)
			return v, err == nil
		}
	}
	return 0, false
}
