package main

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"roost/cmd/roostbench/internal/raw"
	"roost/cmd/roostbench/internal/report"
	"roost/cmd/roostbench/internal/rules"
)

type abuseCmd struct {
	URL      string        `name:"url" default:"ws://127.0.0.1:8081/ws" help:"The server's WebSocket endpoint, on a loopback address."`
	Program  string        `xor:"server" help:"Start this server, and a redis-server for it, instead of looking for one."`
	Env      []string      `sep:"none" placeholder:"VAR=VALUE" help:"A variable for the program; may be given several times."`
	Logs     string        `placeholder:"PREFIX" help:"What the names of the log files of what is started begin with; without it they go away at the end."`
	Secret   string        `env:"JWT_SECRET_KEY" help:"What tokens are signed with; better given as JWT_SECRET_KEY. A program that is started gets one of its own."`
	Only     []string      `enum:"wire,handshake" default:"wire,handshake" help:"What to do: wire, handshake."`
	Patience time.Duration `default:"5s" help:"How long to wait for an answer or an end; 1m at most."`
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
	Cases []rules.Result `json:"cases"`
}

// Run plays everything and says what came.
func (c *abuseCmd) Run(env *environment) error {
	if c.Patience <= 0 || c.Patience > maxPatience {
		return fmt.Errorf("--patience %s: %s at most", c.Patience, maxPatience)
	}
	if err := roomForFiles(); err != nil {
		return err
	}
	if c.Program != "" {
		started, err := c.start(env.ctx)
		defer started.stop()
		if err != nil {
			return err
		}
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
	for _, group := range c.Only {
		results, err := player.Play(env.ctx, rules.Cases(group))
		if err != nil {
			return err
		}
		all.Cases = append(all.Cases, results...)
	}
	return nil
}
