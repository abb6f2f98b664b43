package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"roost/bench/roostbench/internal/fairness"
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
	Dialect  string        `default:"roost" enum:"roost,centrifugo" help:"How the server is spoken to, in fairness (${enum})."`
	Only     []string      `enum:"wire,handshake,harm,fairness" default:"wire,handshake,harm,fairness" help:"What to do: wire (frames), handshake (requests), harm (floods, silence, too much of everything), fairness (what is shared is taken while honest clients come; with --program only)."`
	Patience time.Duration `default:"5s" help:"How long to wait for an answer or an end; 1m at most."`
	Harm     time.Duration `default:"1s" help:"How long to do each kind of harm; 1m at most."`
	Fair     time.Duration `default:"4s" help:"How long to watch honest clients in each case of fairness; 1m at most."`
	JWKS     bool          `name:"jwks" help:"The program takes tokens of key pairs, whose keys are at JWT_JWKS_URL: fairness has a case for them."`
	Everyone bool          `help:"The program takes notifications for everyone (user_noti_all) and for groups (group_noti:): fairness has a case for each."`
	CutOff   time.Duration `default:"15s" help:"By when the server has to end a handshake that does not; 1m at most."`
	Bound    time.Duration `default:"1s" help:"How long healthy connections may wait for a pong while others do harm."`
	Label    string        `default:"server" help:"What to call the server in the report."`
	JSON     string        `name:"json" placeholder:"FILE" help:"Write the report here too."`
	Failures bool          `help:"Show only what was not kept."`
	From     []string      `sep:"none" type:"existingfile" placeholder:"FILE" help:"Do nothing, but write --page from what --json has written; may be given several times, once for each server."`
	Page     string        `type:"existingfile" placeholder:"FILE" help:"Write the tables into this document, each between its two markers; goes with --from."`
}

// maxPatience bounds a step.
const maxPatience = time.Minute

// errBroken is wrapped when the server broke a rule.
var errBroken = errors.New("rules were broken")

// abuseReport is what --json has.
type abuseReport struct {
	report.Report
	Cases    []rules.Result    `json:"cases,omitempty"`
	Harm     []harm.Result     `json:"harm,omitempty"`
	Fairness []fairness.Result `json:"fairness,omitempty"`
}

func (c *abuseCmd) validate() error {
	for flag, d := range map[string]time.Duration{"patience": c.Patience, "harm": c.Harm, "fair": c.Fair, "cut-off": c.CutOff, "bound": c.Bound} {
		if d <= 0 || d > maxPatience {
			return fmt.Errorf("--%s %s: more than 0, %s at most", flag, d, maxPatience)
		}
	}
	if (len(c.From) > 0) != (c.Page != "") {
		return errors.New("--from and --page go together")
	}
	return nil
}

// Run plays everything and says what came.
func (c *abuseCmd) Run(env *environment) error {
	if err := c.validate(); err != nil {
		return err
	}
	if len(c.From) > 0 {
		return c.writePage()
	}
	if err := roomForFiles(); err != nil {
		return err
	}
	all := abuseReport{Report: report.Report{
		Step: "abuse", Server: cmp.Or(c.Label, "server"), Time: time.Now().UTC(), Args: withoutSecret(env.args, c.Secret),
	}}
	if c.Program != "" && c.does("fairness") {
		if err := c.fairness(env, &all); err != nil {
			return err
		}
	}
	if !c.does("wire", "handshake", "harm") {
		return c.tell(env, &all)
	}
	if c.Program != "" {
		started, err := startStand(env.ctx, standConfig{Program: c.Program, Env: c.Env, Logs: c.Logs, Name: "abuse"})
		defer started.stop()
		if err != nil {
			return err
		}
		c.Secret, c.URL, c.PID = started.secret, "ws://"+started.at.String()+"/ws", started.server.PID()
	}
	if strings.HasPrefix(c.URL, "wss:") {
		return fmt.Errorf("%w: %q: rules are tried in the clear: ws://127.0.0.1:8081/ws", errTarget, c.URL)
	}
	server, path, err := endpoint(c.URL, c.Secret)
	if err != nil {
		return err
	}
	target := raw.Target{Server: server, Path: path, Secret: []byte(c.Secret), Patience: c.Patience}
	if err := c.play(env, target, &all); err != nil {
		return err
	}
	return c.tell(env, &all)
}

// does says whether one of these is to be done.
func (c *abuseCmd) does(groups ...string) bool {
	return slices.ContainsFunc(groups, func(group string) bool { return slices.Contains(c.Only, group) })
}

// play does what --only says, but for fairness.
func (c *abuseCmd) play(env *environment, target raw.Target, all *abuseReport) error {
	player := &rules.Player{Target: target}
	for _, group := range []string{rules.Wire, rules.Handshake} {
		if !c.does(group) {
			continue
		}
		results, err := player.Play(env.ctx, rules.Cases(group))
		if err != nil {
			return err
		}
		all.Cases = append(all.Cases, results...)
	}
	if !c.does("harm") {
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
