package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"roost/cmd/roostbench/internal/report"
	"roost/cmd/roostbench/internal/suite"
)

type suiteCmd struct {
	Server []string `required:"" sep:"none" placeholder:"LABEL=PROGRAM" help:"A server to measure; give it several times. The others are compared with the first."`
	Rounds int      `default:"3" help:"How often to measure everything, 20 at most; the table has medians."`
	Short  bool     `help:"Only the steps that matter most, and shorter."`
	Step   []string `sep:"none" placeholder:"NAME" help:"Only this step; may be given several times. A wrong name lists them."`
	Out    string   `required:"" type:"path" placeholder:"DIR" help:"Where reports, logs and summary.json go."`
}

// summary is what summary.json has.
type summary struct {
	Time        time.Time           `json:"time"`
	Machine     suite.Machine       `json:"machine"`
	Comparisons []report.Comparison `json:"comparisons"`
	Reports     []report.Report     `json:"reports"`
}

// Run measures all servers in turn and compares them.
func (c *suiteCmd) Run(env *environment) error {
	cfg, err := c.config(env)
	if err != nil {
		return err
	}
	started := time.Now().UTC()
	reports, failed := suite.Run(env.ctx, cfg)
	all := summary{Time: started, Machine: suite.ThisMachine(), Comparisons: report.Compare(reports), Reports: reports}
	for _, comparison := range all.Comparisons {
		if err := comparison.Table(env.stdout); err != nil {
			return err
		}
	}
	return errors.Join(failed, report.WriteFile(filepath.Join(c.Out, "summary.json"), all))
}

// maxSuiteRounds bounds a run of hours.
const maxSuiteRounds = 20

func (c *suiteCmd) config(env *environment) (suite.Config, error) {
	bench, err := os.Executable()
	if err != nil {
		return suite.Config{}, fmt.Errorf("where this program is: %w", err)
	}
	cfg := suite.Config{
		Bench: bench, Rounds: c.Rounds, Dir: c.Out, Log: env.stderr,
		Steps: suite.Plan(suite.Steps(), c.Step, c.Short),
	}
	if c.Rounds < 1 || c.Rounds > maxSuiteRounds {
		return cfg, fmt.Errorf("--rounds %d: from 1 to %d", c.Rounds, maxSuiteRounds)
	}
	if len(cfg.Steps) < len(c.Step) {
		var names []string
		for _, s := range suite.Steps() {
			names = append(names, s.Name)
		}
		return cfg, fmt.Errorf("--step: the steps are\n%s", strings.Join(names, "\n"))
	}
	for _, s := range c.Server {
		label, path, found := strings.Cut(s, "=")
		if !found || label == "" || strings.ContainsAny(label, "/. ") {
			return cfg, fmt.Errorf("--server %q: it has to be like roost=bin/roost", s)
		}
		cfg.Servers = append(cfg.Servers, suite.Server{Label: label, Path: path})
	}
	return cfg, nil
}
