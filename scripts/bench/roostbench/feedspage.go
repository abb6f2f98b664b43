package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"roost/bench/roostbench/internal/report"
)

// readFeeds reads what --json wrote.
func readFeeds(path string) (*feedsSummary, error) {
	all := new(feedsSummary)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

// intoPage writes the tables into a document.
func (all *feedsSummary) intoPage(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	page, err := all.page(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(page), 0o644)
}

// page puts the tables into a document's text.
func (all *feedsSummary) page(text string) (string, error) {
	blocks := map[string]string{
		"feeds:machine":   all.machineTable(),
		"feeds:spread":    all.spreadTable() + "\n" + all.books(),
		"feeds:subscribe": all.subscribeTable(),
		"feeds:sizing":    defaultSizing().tables(all),
	}
	for _, name := range slices.Sorted(maps.Keys(blocks)) {
		var err error
		if text, err = report.ReplaceBlock(text, name, blocks[name]); err != nil {
			return "", err
		}
	}
	return text, nil
}

// machineTable is where and how it was measured.
func (all *feedsSummary) machineTable() string {
	m := all.Machine
	var b strings.Builder
	b.WriteString("| | |\n|---|---|\n")
	for _, row := range [][2]string{
		{"Date", all.Time.UTC().Format("2006-01-02 15:04 UTC") + ", " + all.Elapsed.Round(time.Second).String()},
		{"Commit", all.Commit},
		{"Machine", fmt.Sprintf("%s, %d cores, kernel %s, all on loopback", m.CPU, m.Cores, m.Kernel)},
		{"Go, Redis", m.Go + ", " + m.Redis},
		{"Command", "`scripts/bench/feeds.sh`"},
	} {
		if row[1] != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", row[0], row[1])
		}
	}
	return b.String()
}

// steps are those of which there are reports, in order.
func (all *feedsSummary) steps() []report.Comparison { return report.Compare(all.Reports) }

// spreadTable has a line for each figure and number of instances.
func (all *feedsSummary) spreadTable() string {
	var b strings.Builder
	var steps []report.Comparison
	for _, c := range all.steps() {
		if instancesOf(c.Step) > 0 {
			steps = append(steps, c)
		}
	}
	if len(steps) == 0 {
		return ""
	}
	slices.SortFunc(steps, func(a, b report.Comparison) int { return cmp.Compare(instancesOf(a.Step), instancesOf(b.Step)) })
	fmt.Fprintf(&b, "| | instances | %s |\n|---|---:|%s\n", strings.Join(steps[0].Servers, " | "), strings.Repeat("---:|", len(steps[0].Servers)))
	for _, figure := range []string{figCPU, figCPUNote, figReads, figRedisCPU, figRedisNote, figRedisOut, figP50, figP99, figBusy} {
		name := figure
		for _, c := range steps {
			row := c.Row(figure)
			if row == nil {
				continue
			}
			if name != "" && row.Unit != "" {
				name += ", " + row.Unit
			}
			fmt.Fprintf(&b, "| %s | %d | %s |\n", name, instancesOf(c.Step), cells(row))
			name = ""
		}
	}
	return b.String()
}

// instancesOf is the number in a step's name; 0 for another step.
func instancesOf(step string) int {
	number, _ := strings.CutPrefix(step, "spread-")
	n, _ := strconv.Atoi(number)
	return n
}

// subscribeTable has a line for each figure.
func (all *feedsSummary) subscribeTable() string {
	var b strings.Builder
	for _, c := range all.steps() {
		if c.Step != "subscribe" {
			continue
		}
		fmt.Fprintf(&b, "| | %s |\n|---|%s\n", strings.Join(c.Servers, " | "), strings.Repeat("---:|", len(c.Servers)))
		for _, figure := range []string{
			figConnected, figHand50, figHand99, figHandshake, figHandRedis, figCommands, figClients, figAnon, figHeap, figRedisMemory, figFastRoost, figFastRedis,
			figCut, figCutDeaf, figCutCPU, figCutRedis, figCutPong, figAway, figBack, figRestartCPU, figRestartPong,
		} {
			row := c.Row(figure)
			if row == nil {
				continue
			}
			name := figure
			if row.Unit != "" {
				name += ", " + row.Unit
			}
			fmt.Fprintf(&b, "| %s | %s |\n", name, cells(row))
		}
	}
	return b.String()
}

// books says what became of all notifications that were to come.
func (all *feedsSummary) books() string {
	sum := map[string]int{}
	for _, r := range all.Reports {
		for _, figure := range []string{figPublished, figMissing, figTwice, figAstray, figDisorder, figLost} {
			n, _ := r.Value(figure)
			sum[figure] += int(n)
		}
	}
	text := fmt.Sprintf("In all measurements %s notifications were published, but for those to users who could not be heard while Redis\nwas cut off: "+
		"%s were missing, %s came twice, %s at another user, %s out of order.", thousands(float64(sum[figPublished])),
		thousands(float64(sum[figMissing])), thousands(float64(sum[figTwice])), thousands(float64(sum[figAstray])), thousands(float64(sum[figDisorder])))
	if saturated := all.saturated(); len(saturated) > 0 {
		return text + "\nThe machine was saturated with " + strings.Join(saturated, ", ") + " in at least one round, by these\nmeasurements or by something beside them."
	}
	return text + "\nThe machine was never saturated: its cores were busy for no more than " + strconv.Itoa(saturation) + " % of any measurement."
}

// saturation is from when on the machine counts as saturated, in percent of all cores.
const saturation = 90

// saturated says of which measurements the machine was the limit.
func (all *feedsSummary) saturated() []string {
	var found []string
	for _, r := range all.Reports {
		name := fmt.Sprintf("%s on %d instances", r.Server, instancesOf(r.Step))
		if busy, _ := r.Value(figBusy); busy > saturation && !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	return found
}

// cells are a row's medians, each with the lowest and the highest where they differ.
func cells(row *report.Row) string {
	var all []string
	for i, median := range row.Medians {
		values := row.Values[i]
		text := thousands(median)
		if low, high := thousands(values[0]), thousands(values[len(values)-1]); low != high {
			text += " (" + low + "–" + high + ")"
		}
		all = append(all, text)
	}
	return strings.Join(all, " | ")
}

// thousands writes a figure with about three digits that mean something, and commas in long ones.
func thousands(v float64) string {
	text := report.Number(v)
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	if strings.HasPrefix(text, "-") {
		return "−" + whole
	}
	return whole
}
