package suite

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"roost/bench/roostbench/internal/dialect"
)

// Server is a program to measure. It takes Roost's variables.
type Server struct {
	Label   string
	Path    string
	Env     []string // beyond the usual variables, as VAR=VALUE
	Dialect dialect.Dialect
	Secure  bool     // clients come by wss://
	Only    []string // patterns, as path.Match has them, of the steps that it takes part in; none: all
}

// takes says whether the server takes part in a step.
func (s Server) takes(step string) bool {
	for _, pattern := range s.Only {
		if ok, _ := path.Match(pattern, step); ok {
			return true
		}
	}
	return len(s.Only) == 0
}

// has reports whether the server has a variable; "" is none.
func (s Server) has(name string) bool {
	return name == "" || slices.ContainsFunc(s.Env, func(env string) bool { return strings.HasPrefix(env, name+"=") })
}

// run is one measurement.
type run struct {
	server Server
	step   Step
	round  int // from 0
}

// runs is the order: round by round, step by step, server by server.
func runs(cfg Config) []run {
	var all []run
	for round := range MaxRounds {
		for _, step := range cfg.Steps {
			if round >= step.Rounds || cfg.Rounds > 0 && round >= cfg.Rounds {
				continue
			}
			for _, server := range cfg.Servers {
				if server.takes(step.ID) && server.has(step.Needs) {
					all = append(all, run{server, step, round})
				}
			}
		}
	}
	return all
}

// Estimate is how long all of it takes, about.
func Estimate(cfg Config) time.Duration {
	sum := time.Duration(0)
	for _, r := range runs(cfg) {
		sum += r.step.Lasts
	}
	return sum
}

// Plan writes the steps, for how many servers and how often each is made, and
// how long that takes.
func Plan(cfg Config) string {
	var text strings.Builder
	count, servers := map[string]int{}, map[string]map[string]bool{}
	for _, r := range runs(cfg) {
		count[r.step.ID]++
		if servers[r.step.ID] == nil {
			servers[r.step.ID] = map[string]bool{}
		}
		servers[r.step.ID][r.server.Label] = true
	}
	for _, s := range cfg.Steps {
		n := count[s.ID]
		of := max(len(servers[s.ID]), 1)
		_, _ = fmt.Fprintf(&text, "%-18s %d servers × %d × %3.0fs = %4.0fs  %s\n",
			s.ID, of, n/of, s.Lasts.Seconds(), (time.Duration(n) * s.Lasts).Seconds(), s.Title)
	}
	_, _ = fmt.Fprintf(&text, "about %s for %d measurements\n", Estimate(cfg).Round(time.Second), len(runs(cfg)))
	return text.String()
}

// ErrUnknownStep is wrapped by what Choose refuses.
var ErrUnknownStep = errors.New("not a step")

// Choose returns the steps that are named, in the order in which they are.
func Choose(steps []Step, ids []string) ([]Step, error) {
	if len(ids) == 0 {
		return steps, nil
	}
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	var chosen []Step
	for _, s := range steps {
		if wanted[s.ID] {
			chosen = append(chosen, s)
			delete(wanted, s.ID)
		}
	}
	for id := range wanted {
		return nil, fmt.Errorf("%w: %q; there are\n%s", ErrUnknownStep, id, list(steps))
	}
	return chosen, nil
}

func list(steps []Step) string {
	var lines []string
	for _, s := range steps {
		lines = append(lines, fmt.Sprintf("  %-18s %s", s.ID, s.Title))
	}
	return strings.Join(lines, "\n")
}
