package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// series is one Go benchmark at several sizes.
type series struct {
	name string
	at   map[int]map[string]float64 // metrics by size
}

// allSeries finds the benchmarks that have a size in their names, "n=1000" or
// "1000".
func (s *summary) allSeries() []series {
	var all []series
	for _, b := range s.Benchmarks {
		name, n := split(b)
		if n == 0 {
			continue
		}
		i := slices.IndexFunc(all, func(x series) bool { return x.name == name })
		if i < 0 {
			i = len(all)
			all = append(all, series{name, map[int]map[string]float64{}})
		}
		all[i].at[n] = b.Metrics
	}
	return all
}

// split takes the size out of a benchmark's name.
func split(b benchmark) (name string, n int) {
	parts := strings.Split(b.Name, "/")
	for i, part := range parts {
		if size, err := strconv.Atoi(strings.TrimPrefix(part, "n=")); err == nil && size > 0 {
			n = size
			parts = slices.Delete(parts, i, i+1)
			break
		}
	}
	_, room, _ := strings.Cut(b.Package, "/")
	return strings.TrimPrefix(room+" ", " ") + strings.Join(parts, " "), n
}

// benchTable writes them: a row for each metric of each, a column a size.
func (s *summary) benchTable() string {
	all := s.allSeries()
	sizes := map[int]bool{}
	for _, one := range all {
		for n := range one.at {
			sizes[n] = true
		}
	}
	if len(sizes) == 0 {
		return ""
	}
	columns := slices.Sorted(maps.Keys(sizes))
	var text strings.Builder
	header, rule := "| |", "|---|"
	for _, n := range columns {
		header += " " + commas(strconv.Itoa(n)) + " |"
		rule += "---:|"
	}
	_, _ = fmt.Fprintf(&text, "%s\n%s\n", header, rule)
	for _, one := range all {
		for _, unit := range one.units() {
			_, _ = fmt.Fprintf(&text, "| %s, %s |", one.name, unit)
			for _, n := range columns {
				value := ""
				if v, ok := one.at[n][unit]; ok {
					value = number(v)
				}
				_, _ = fmt.Fprintf(&text, " %s |", value)
			}
			text.WriteString("\n")
		}
	}
	return text.String()
}

// units are the metrics of a series that are not 0 everywhere; those of a
// connection only, where it has such, since an operation is then the filling of
// the whole registry.
func (s series) units() []string {
	seen := map[string]bool{}
	for _, metrics := range s.at {
		for unit, v := range metrics {
			if v != 0 {
				seen[unit] = true
			}
		}
	}
	all := slices.Sorted(maps.Keys(seen))
	if seen["B/conn"] {
		all = slices.DeleteFunc(all, func(unit string) bool { return !strings.HasSuffix(unit, "/conn") })
	}
	return all
}

// otherBenchmarks are those without a size, as lines.
func (s *summary) otherBenchmarks() []string {
	var lines []string
	for _, b := range s.Benchmarks {
		name, n := split(b)
		if n != 0 {
			continue
		}
		var values []string
		for _, unit := range slices.Sorted(maps.Keys(b.Metrics)) {
			values = append(values, number(b.Metrics[unit])+" "+unit)
		}
		lines = append(lines, name+": "+strings.Join(values, ", "))
	}
	return lines
}
