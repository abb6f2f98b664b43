package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"roost/bench/roostbench/internal/harm"
	"roost/bench/roostbench/internal/procfs"
	"roost/bench/roostbench/internal/raw"
	"roost/bench/roostbench/internal/report"
	"roost/bench/roostbench/internal/rules"
)

type abuseCmd struct {
	URL      string        `name:"url" default:"ws://127.0.0.1:8081/ws" help:"The server's WebSocket endpoint, on a loopback address."`
	Program  string        `xor:"server" help:"Start this server, and a redis-server for it, instead of looking for one."`
	Env      []string      `sep:"none" placeholder:"VAR=VALUE" help:"A variable for the program; may be given several times."`
	Logs     string        `placeholder:"PREFIX" help:"What the names of the log files of what is started begin with; without it they go away at the end."`
	PID      int           `name:"pid" help:"The server's process, to see its memory; known of a program that is started."`
	Secret   string        `env:"JWT_SECRET_KEY" help:"What tokens are signed with; better given as JWT_SECRET_KEY. A program that is started gets one of its own."`
	Only     []string      `enum:"wire,handshake,harm" default:"wire,handshake,harm" help:"What to do: wire (frames), handshake (requests), harm (floods, silence, too much of everything)."`
	Patience time.Duration `default:"5s" help:"How long to wait for an answer or an end; 1m at most."`
	Harm     time.Duration `default:"1s" help:"How long to do each kind of harm; 1m at most."`
	CutOff   time.Duration `default:"15s" help:"By when the server has to end a handshake that does not; 1m at most."`
	Bound    time.Duration `default:"1s" help:"How long healthy connections may wait for a pong while others do harm."`
	Label    string        `default:"server" help:"What to call the server in the report."`
	JSON     string        `name:"json" placeholder:"FILE" help:"Write the report here too."`
	Failures bool          `help:"Show only what was not kept."`
}

// maxPatience bounds a step.
const maxPatience = time.Minute

// errBroken is wrapped when the server broke a rule.
var errBroken = errors.New("rules were broken")

// abuseReport is what --json has.
type abuseReport struct {
	report.Report
	Cases []rules.Result `json:"cases,omitempty"`
	Harm  []harm.Result  `json:"harm,omitempty"`
}

func (c *abuseCmd) validate() error {
	for flag, d := range map[string]time.Duration{"patience": c.Patience, "harm": c.Harm, "cut-off": c.CutOff, "bound": c.Bound} {
		if d <= 0 || d > maxPatience {
			return fmt.Errorf("--%s %s: more than 0, %s at most", flag, d, maxPatience)
		}
	}
	return nil
}

// Run plays everything and says what came.
func (c *abuseCmd) Run(env *environment) error {
	if err := c.validate(); err != nil {
		return err
	}
	if err := roomForFiles(); err != nil {
		return err
	}
	if c.Program != "" {
		started, err := startStand(env.ctx, standConfig{Program: c.Program, Env: c.Env, Logs: c.Logs, Name: "abuse"})
		defer started.stop()
		if err != nil {
			return err
		}
		c.Secret, c.URL, c.PID = started.secret, "ws://"+started.at.String()+"/ws", started.server.PID()
	}
	server, path, err := endpoint(c.URL, c.Secret)
	if err != nil {
		return err
	}
	target := raw.Target{Server: server, Path: path, Secret: []byte(c.Secret), Patience: c.Patience}
	all := abuseReport{Report: report.Report{
		Step: "abuse", Server: cmp.Or(c.Label, "server"), Time: time.Now().UTC(), Args: withoutSecret(env.args, c.Secret),
	}}
	if err := c.play(env, target, &all); err != nil {
		return err
	}
	return c.tell(env, &all)
}

// play does what --only says.
func (c *abuseCmd) play(env *environment, target raw.Target, all *abuseReport) error {
	player := &rules.Player{Target: target}
	for _, group := range []string{rules.Wire, rules.Handshake} {
		if !slices.Contains(c.Only, group) {
			continue
		}
		results, err := player.Play(env.ctx, rules.Cases(group))
		if err != nil {
			return err
		}
		all.Cases = append(all.Cases, results...)
	}
	if !slices.Contains(c.Only, "harm") {
		return nil
	}
	if err := c.memory(all, "RssAnon before harm"); err != nil {
		return err
	}
	var err error
	all.Harm, err = harm.Run(env.ctx, harm.Config{Target: target, Length: c.Harm, Handshake: c.CutOff, Bound: c.Bound})
	return errors.Join(err, c.memory(all, "RssAnon after harm"))
}

// memory adds the server's memory, where its process is known.
func (c *abuseCmd) memory(all *abuseReport, name string) error {
	if c.PID == 0 {
		return nil
	}
	sample, err := procfs.Read(c.PID)
	if err != nil {
		return fmt.Errorf("--pid: %w", err)
	}
	all.Add(name, mebi(sample.Anon), "MiB")
	return nil
}
