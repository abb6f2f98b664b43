package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The steps that publish bursts, and the names of their figures, as roostbench writes them.
const (
	stepBursts = "burst"
	stepFar    = "burst-far"

	kernelStalled = "kernel memory a stalled client, the most"
	userStalled   = "of that alive after a collection"
	endedStalled  = "stalled clients are ended after"
	sharePrefix   = "share"
)

// burstOf is a burst in the name of a figure: "share of 1,000 × 10 KB".
var burstOf = regexp.MustCompile(`([0-9,]+) × ([0-9]+) (B|KB)`)

// volume is how many bytes a burst has for each connection; false where the name has no burst.
func volume(name string) (int, bool) {
	m := burstOf.FindStringSubmatch(name)
	if m == nil {
		return 0, false
	}
	count, err1 := strconv.Atoi(strings.ReplaceAll(m[1], ",", ""))
	size, err2 := strconv.Atoi(m[2])
	if m[3] == "KB" {
		size *= 1000
	}
	return count * size, err1 == nil && err2 == nil
}

// isBurst says whether a figure is the share of a burst to clients that read as fast as they can, which has a table of
// its own.
func isBurst(f figure) bool { return f.At > 0 && strings.HasPrefix(f.Name, "share of ") }

// burstTable has a row for each burst and a column for each server, with the share that came to each number of
// connections.
func (s *summary) burstTable() string {
	all := s.figures(stepBursts)
	var sizes []int // numbers of connections
	var names []string
	for _, f := range all {
		if !isBurst(f) {
			continue
		}
		if !slices.Contains(sizes, f.At) {
			sizes = append(sizes, f.At)
		}
		if !slices.Contains(names, f.Name) {
			names = append(names, f.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(sizes)
	servers := s.servers(stepBursts)
	var text strings.Builder
	_, _ = fmt.Fprintf(&text, "| %% of it arrives, with %s connections | %s |\n|---|%s\n", numbers(sizes), strings.Join(servers, " | "), strings.Repeat("---:|", len(servers)))
	for _, name := range names {
		row := "| " + strings.TrimPrefix(name, "share of ") + " |"
		for _, server := range servers {
			var cells []string
			for _, at := range sizes {
				if v := newSpread(s.values(stepBursts, server, key{name, at})); v.n > 0 {
					cells = append(cells, shareText(v.low))
				}
			}
			row += " " + strings.Join(cells, " · ") + " |"
		}
		text.WriteString(row + "\n")
	}
	return text.String()
}

// numbers is "1, 2 and 20".
func numbers(all []int) string {
	var text []string
	for _, n := range all {
		text = append(text, strconv.Itoa(n))
	}
	if len(text) < 2 {
		return strings.Join(text, "")
	}
	return strings.Join(text[:len(text)-1], ", ") + " and " + text[len(text)-1]
}

// shareText is a share in percent; 100 only where nothing is missing.
func shareText(v float64) string {
	if v < 100 {
		v = min(v, 99.9)
	}
	return number(v)
}

// plainTable is the table of a step without what has one of its own, and without ratios, which mean nothing here.
func (s *summary) plainTable(step string) string {
	servers := s.servers(step)
	var text strings.Builder
	_, _ = fmt.Fprintf(&text, "| | %s |\n|---|%s\n", strings.Join(servers, " | "), strings.Repeat("---:|", len(servers)))
	for _, f := range s.figures(step) {
		if !isBurst(f) {
			s.row(&text, step, f, servers, false)
		}
	}
	return text.String()
}

// wholeBursts is how large a burst may be that has to arrive whole.
const wholeBursts = 4 << 20

// crawling is in the name of the share of clients that read so slowly that their kernels acknowledge nothing for longer
// than WS_WRITE_WAIT.
const crawling = "read at 500 B/s"

// leastShare is the smallest share of any burst of wholeBursts and less, of all steps: to clients that crawl, or to all
// others that read.
func (s *summary) leastShare(server string, crawl bool) *result {
	var least *result
	for _, step := range []string{stepBursts, stepFar} {
		for _, f := range s.figures(step) {
			bytes, isOne := volume(f.Name)
			v := newSpread(s.values(step, server, f.key()))
			if !strings.HasPrefix(f.Name, sharePrefix) || v.n == 0 || isOne && bytes > wholeBursts ||
				strings.Contains(f.Name, crawling) != crawl {
				continue
			}
			if missing := 100 - v.low; least == nil || missing > least.value {
				least = &result{missing, fmt.Sprintf("%s%% at the least (%s)", shareText(v.low), rowName(figure{Name: f.Name, At: f.At}))}
			}
		}
	}
	return least
}

func (s *summary) burstTargets() []verdict {
	return []verdict{
		atMost("bursts", "Every burst of up to 4 MiB a connection arrives whole, at any round trip up to 300 ms and to slow readers",
			s.leastShare(ours, false), 0),
		atMost("crawling", "and to clients that read 500 bytes a second", s.leastShare(ours, true), 0),
		atMost("stalled-kernel", "A client that reads nothing costs at most 128 KiB of kernel memory",
			s.measured(stepBursts, ours, kernelStalled, "KiB"), 128),
		atMost("stalled-user", "and at most 4 MiB of Roost's (`WS_QUEUE_BYTES`), with 5 MB published for it: what is alive after a collection",
			s.measured(stepBursts, ours, userStalled, "KiB"), 4096),
		atMost("stalled-ended", "and is ended within 13 s (`WS_WRITE_WAIT` is 10 s, after its kernel last acknowledged something)",
			s.measured(stepBursts, ours, endedStalled, "s"), 13),
	}
}
