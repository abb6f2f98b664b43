package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// summary is what roostbench suite writes, as far as it is used here.
type summary struct {
	Time       time.Time     `json:"time"`
	Elapsed    time.Duration `json:"elapsed"`
	Commit     string        `json:"commit,omitempty"`
	Machine    machine       `json:"machine"`
	LeftOut    []string      `json:"left_out,omitempty"`
	Failed     []string      `json:"failed,omitempty"`
	Reports    []measurement `json:"reports"`
	Benchmarks []benchmark   `json:"benchmarks,omitempty"`
}

type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory string `json:"memory"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	Redis  string `json:"redis"`
}

// measurement is one step, measured once of one server.
type measurement struct {
	Step    string   `json:"step"`
	Title   string   `json:"title"`
	Server  string   `json:"server"`
	Round   int      `json:"round"`
	Args    []string `json:"args"`
	Apart   string   `json:"apart,omitempty"` // when, and at which commit, if not with the rest of the summary
	Figures []figure `json:"figures"`
}

type figure struct {
	Name  string  `json:"name"`
	At    int     `json:"at,omitempty"` // connections, where it was taken at several sizes
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
}

// key is what tells figures of a measurement apart.
type key struct {
	name string
	at   int
}

func (f figure) key() key { return key{f.Name, f.At} }

// benchmark is one line of one Go benchmark.
type benchmark struct {
	Package string             `json:"package"`
	Name    string             `json:"name"`
	Metrics map[string]float64 `json:"metrics"`
}

var errEmpty = errors.New("the summary has no measurements")

func readSummary(path string) (*summary, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w (scripts/bench/run.sh makes it)", err)
	}
	s := new(summary)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(s.Reports) == 0 {
		return nil, fmt.Errorf("%s: %w", path, errEmpty)
	}
	for i := range s.Reports {
		s.Reports[i].Args = portable(s.Reports[i].Args)
	}
	return s, nil
}

// here are the flags that say where things were in that one run.
var here = []string{"url", "pid", "label", "step", "json", "quiet", "metrics", "server-log", "redis", "program", "logs", "env", "tls-certificate", "tls-key"}

// portable leaves out of a command line what belongs to one run.
func portable(args []string) []string {
	return slices.DeleteFunc(args, func(arg string) bool {
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		return slices.Contains(here, name)
	})
}

// write keeps what the page was made from.
func (s *summary) write(path string) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	// A measurement a line.
	lines := strings.ReplaceAll(string(text), `},{"step"`, "},\n"+`{"step"`)
	return os.WriteFile(path, []byte(lines+"\n"), 0o644)
}

// with is s with the measurements of another summary in place of its own of the same servers in the same steps, which then
// were measured apart, and with its Go benchmarks in place of those of the same name. note is said beside the time.
func (s *summary) with(other *summary, note string) *summary {
	apart := "on " + pageData{other}.Date()
	if other.Commit != "" {
		apart += ", commit " + other.Commit
	}
	if note != "" {
		apart += ", " + note
	}
	merged := *s
	merged.Reports = nil
	for _, m := range s.Reports {
		if again := other.of(m.Step, m.Server); len(again) == 0 {
			merged.Reports = append(merged.Reports, m)
		} else if len(merged.of(m.Step, m.Server)) == 0 {
			merged.Reports = append(merged.Reports, setApart(again, apart)...) // in the same place
		}
	}
	for _, m := range other.Reports {
		if len(s.of(m.Step, m.Server)) == 0 {
			merged.Reports = append(merged.Reports, setApart([]measurement{m}, apart)...)
		}
	}
	merged.Benchmarks = slices.Clone(s.Benchmarks)
	for _, b := range other.Benchmarks {
		same := func(old benchmark) bool { return old.Package == b.Package && old.Name == b.Name }
		if i := slices.IndexFunc(merged.Benchmarks, same); i >= 0 {
			merged.Benchmarks[i] = b
		} else {
			merged.Benchmarks = append(merged.Benchmarks, b)
		}
	}
	return &merged
}

func setApart(all []measurement, apart string) []measurement {
	all = slices.Clone(all)
	for i := range all {
		all[i].Apart = apart
	}
	return all
}

// steps are the steps that were measured, in the order of their first round.
func (s *summary) steps() []string {
	var all []string
	for _, m := range s.Reports {
		if !slices.Contains(all, m.Step) {
			all = append(all, m.Step)
		}
	}
	return all
}

// of returns the measurements of a step, of one server or of all ("").
func (s *summary) of(step, server string) []measurement {
	var all []measurement
	for _, m := range s.Reports {
		if m.Step == step && (server == "" || m.Server == server) {
			all = append(all, m)
		}
	}
	return all
}

// servers are those that took part in a step, in the order of the first round;
// of any step, with "".
func (s *summary) servers(step string) []string {
	var all []string
	for _, m := range s.Reports {
		if (step == "" || m.Step == step) && !slices.Contains(all, m.Server) {
			all = append(all, m.Server)
		}
	}
	return all
}

// values returns a figure by round, where the round has it.
func (s *summary) values(step, server string, k key) map[int]float64 {
	all := map[int]float64{}
	for _, m := range s.of(step, server) {
		for _, f := range m.Figures {
			if f.key() == k {
				all[m.Round] = f.Value
			}
		}
	}
	return all
}

// median returns the median of a figure over all rounds; false if there is none.
func (s *summary) median(step, server, name string) (float64, bool) {
	v := newSpread(s.values(step, server, key{name: name}))
	return v.median, v.n > 0
}
