package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"roost/bench/roostbench/internal/dialect"
	"roost/bench/roostbench/internal/gobench"
	"roost/bench/roostbench/internal/report"
	"roost/bench/roostbench/internal/suite"
)

type suiteCmd struct {
	Server  []string      `required:"" sep:"none" placeholder:"LABEL=PROGRAM" help:"A server to measure; give it several times. The others are compared with the first."`
	Env     []string      `sep:"none" placeholder:"LABEL=VAR=VALUE" help:"A variable for one of them; may be given several times."`
	Dialect []string      `sep:"none" placeholder:"LABEL=DIALECT" help:"How one of them is spoken to, centrifugo for instance; without it as Roost is."`
	Secure  []string      `sep:"none" placeholder:"LABEL" help:"One of them to which clients come by wss://: it gets WS_TLS_PORT, WS_TLS_CERT_FILE and WS_TLS_KEY_FILE."`
	Only    []string      `sep:"none" placeholder:"LABEL=STEP,…" help:"The steps in which one of them takes part; * is anything. Without it: all."`
	Of      []string      `sep:"none" placeholder:"LABEL" help:"Only this one of the servers; may be given several times. Without it: all."`
	Step    []string      `sep:"none" placeholder:"STEP" help:"Only this step; may be given several times. A wrong one lists them."`
	Rounds  int           `default:"0" help:"Make each step so many times at most, 20 at most; 0: as planned. The table has medians."`
	Short   bool          `xor:"mode" help:"Only the steps that matter most, and shorter."`
	Full    bool          `xor:"mode" help:"Also 100,000 and 200,000 connections to several processes, which works for Roost only."`
	TLS     bool          `name:"tls" xor:"mode" help:"Only the steps for servers with TLS, see --secure."`
	Resume  bool          `xor:"mode" help:"Only the steps for Roost with WS_RESUME_WINDOW, and without beside it."`
	Upgrade bool          `xor:"mode" help:"Only the steps for what an upgrade does, see WS_UPGRADE."`
	Limit   time.Duration `default:"40m" help:"Leave out what would last longer; 6h at most."`
	Perf    bool          `help:"Record where the servers' CPU time goes, with perf, for perf report -i OUT/*.perf. The figures are then a little high."`
	GoBench string        `type:"existingdir" placeholder:"DIR" help:"Run the Go benchmarks of the module there too."`
	Commit  string        `help:"What is measured, for the summary."`
	Out     string        `type:"path" placeholder:"DIR" help:"Where reports, logs and summary.json go."`
	Plan    bool          `help:"Only print the steps and how long they take."`
}

// summary is what summary.json has.
type summary struct {
	Time        time.Time           `json:"time"`
	Elapsed     time.Duration       `json:"elapsed"` // ns
	Commit      string              `json:"commit,omitempty"`
	Args        []string            `json:"args"` // of roostbench
	Machine     suite.Machine       `json:"machine"`
	LeftOut     []string            `json:"left_out,omitempty"`
	Failed      []string            `json:"failed,omitempty"`
	Comparisons []report.Comparison `json:"comparisons"`
	Reports     []report.Report     `json:"reports"`
	Benchmarks  []gobench.Result    `json:"benchmarks,omitempty"`
}

// The Go benchmarks whose cost must not grow with connections, and those of
// what a notification passes.
const (
	benchPattern = "^Benchmark(Registry|Wheel|Hub|Feed|DeliverAbsent)"
	benchTime    = 200 * time.Millisecond
	benchLimit   = 4 * time.Minute
	benchLasts   = 40 * time.Second // an estimate, with compiling
)

func benchPackages() []string {
	return []string{"./hub", "./netpoll", "./netpoll/internal/wheel", "./redisfeed"}
}

// Run measures all servers in turn and compares them.
func (c *suiteCmd) Run(env *environment) error {
	cfg, err := c.config(env)
	if err != nil {
		return err
	}
	if c.Plan {
		_, err := fmt.Fprint(env.stdout, c.plan(cfg))
		return err
	}
	if c.Out == "" {
		return errors.New("--out: a directory for reports, logs and summary.json is needed")
	}
	_, _ = fmt.Fprintf(env.stderr, "%s\n", c.plan(cfg))
	all := summary{Time: time.Now().UTC(), Commit: c.Commit, Args: env.args, Machine: suite.ThisMachine()}
	benchmarks, failed := c.benchmarks(env, cfg)
	all.Benchmarks = benchmarks
	if failed != nil {
		all.Failed = append(all.Failed, "Go benchmarks: "+failed.Error())
	}
	cfg.Limit -= time.Since(all.Time)
	outcome, err := suite.Run(env.ctx, cfg)
	failed = errors.Join(failed, err)
	all.Reports, all.LeftOut, all.Failed = outcome.Reports, outcome.LeftOut, append(all.Failed, outcome.Failed...)
	all.Comparisons = report.Compare(outcome.Reports)
	all.Elapsed = time.Since(all.Time)
	for _, comparison := range all.Comparisons {
		if err := comparison.Table(env.stdout); err != nil {
			return err
		}
	}
	return errors.Join(failed, report.WriteFile(filepath.Join(c.Out, "summary.json"), all))
}

func (c *suiteCmd) plan(cfg suite.Config) string {
	if c.GoBench == "" {
		return suite.Plan(cfg)
	}
	return suite.Plan(cfg) + fmt.Sprintf("and about %s for the Go benchmarks\n", benchLasts)
}

// benchmarks runs the Go benchmarks before any server runs.
func (c *suiteCmd) benchmarks(env *environment, cfg suite.Config) ([]gobench.Result, error) {
	if c.GoBench == "" {
		return nil, nil
	}
	_, _ = fmt.Fprintln(env.stderr, "running the Go benchmarks")
	return gobench.Run(env.ctx, gobench.Set{
		Dir: c.GoBench, Packages: benchPackages(), Pattern: benchPattern, Time: benchTime, Limit: min(benchLimit, cfg.Limit),
	})
}

// maxLimit bounds a suite.
const maxLimit = 6 * time.Hour

func (c *suiteCmd) config(env *environment) (suite.Config, error) {
	cfg := suite.Config{Rounds: c.Rounds, Limit: c.Limit, Dir: c.Out, Perf: c.Perf, Log: env.stderr}
	if c.Rounds < 0 || c.Rounds > suite.MaxRounds {
		return cfg, fmt.Errorf("--rounds %d: from 0 to %d", c.Rounds, suite.MaxRounds)
	}
	if c.Limit <= 0 || c.Limit > maxLimit {
		return cfg, fmt.Errorf("--limit %s: %s at most", c.Limit, maxLimit)
	}
	var err error
	if cfg.Bench, err = os.Executable(); err != nil {
		return cfg, fmt.Errorf("where this program is: %w", err)
	}
	if cfg.Steps, err = suite.Choose(suite.Steps(c.mode()), c.Step); err != nil {
		return cfg, fmt.Errorf("--step: %w", err)
	}
	cfg.Servers, err = c.servers()
	return cfg, err
}

func (c *suiteCmd) mode() suite.Mode {
	switch {
	case c.Short:
		return suite.Short
	case c.Full:
		return suite.Full
	case c.TLS:
		return suite.TLS
	case c.Resume:
		return suite.Resume
	case c.Upgrade:
		return suite.Upgrade
	}
	return suite.Normal
}

// servers puts together what the flags say of each.
func (c *suiteCmd) servers() ([]suite.Server, error) {
	var servers []suite.Server
	for _, s := range c.Server {
		label, program, found := strings.Cut(s, "=")
		if !found || label == "" || program == "" {
			return nil, fmt.Errorf("--server %q: it has to be like roost=bin/roost", s)
		}
		servers = append(servers, suite.Server{Label: label, Path: program})
	}
	for _, s := range c.Env {
		server, variable := named(servers, s)
		if server == nil || !strings.Contains(variable, "=") {
			return nil, fmt.Errorf("--env %q: it has to be like LABEL=WS_PING_INTERVAL=30s, with the label of a --server", s)
		}
		server.Env = append(server.Env, variable)
	}
	for _, s := range c.Dialect {
		server, name := named(servers, s)
		if server == nil {
			return nil, fmt.Errorf("--dialect %q: it has to be like LABEL=centrifugo, with the label of a --server", s)
		}
		d, err := dialect.Named(name)
		if err != nil {
			return nil, fmt.Errorf("--dialect %q: %w", s, err)
		}
		server.Dialect = d
	}
	for _, label := range c.Secure {
		server, rest := named(servers, label)
		if server == nil || rest != "" {
			return nil, fmt.Errorf("--secure %q: it has to be the label of a --server", label)
		}
		server.Secure = true
	}
	for _, s := range c.Only {
		server, steps := named(servers, s)
		if server == nil || steps == "" {
			return nil, fmt.Errorf("--only %q: it has to be like LABEL=idle,deliver-*, with the label of a --server", s)
		}
		for pattern := range strings.SplitSeq(steps, ",") {
			if _, err := path.Match(pattern, ""); err != nil {
				return nil, fmt.Errorf("--only %q: %q: %w", s, pattern, err)
			}
			server.Only = append(server.Only, pattern)
		}
	}
	return c.chosen(servers)
}

// chosen leaves out the servers that were not asked for.
func (c *suiteCmd) chosen(servers []suite.Server) ([]suite.Server, error) {
	for _, label := range c.Of {
		if server, rest := named(servers, label); server == nil || rest != "" {
			return nil, fmt.Errorf("--of %q: it has to be the label of a --server", label)
		}
	}
	return slices.DeleteFunc(servers, func(s suite.Server) bool {
		return len(c.Of) > 0 && !slices.Contains(c.Of, s.Label)
	}), nil
}

// named finds the server that a flag is about, and the rest of the flag.
func named(servers []suite.Server, flag string) (*suite.Server, string) {
	label, rest, _ := strings.Cut(flag, "=")
	for i := range servers {
		if servers[i].Label == label {
			return &servers[i], rest
		}
	}
	return nil, ""
}
