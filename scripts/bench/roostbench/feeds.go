package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"roost/bench/roostbench/internal/redisd"
	"roost/bench/roostbench/internal/report"
	"roost/bench/roostbench/internal/suite"
)

type feedsCmd struct {
	Program     string        `required:"" xor:"from" help:"The server. It has to know REDIS_FEED and REDIS_CLUSTER."`
	Env         []string      `sep:"none" placeholder:"VAR=VALUE" help:"A variable for it; may be given several times."`
	Feeds       []string      `default:"pattern,user,sharded" enum:"pattern,user,sharded" help:"The values of REDIS_FEED to measure, in turn. The others are compared with the first."`
	Instances   []int         `default:"1,2,4,8" help:"Numbers of instances over which users are spread, 16 at most; 0 alone: leave this part out."`
	Users       int           `default:"300" help:"Users of each instance, a connection each, 1000 at most."`
	Notify      int           `name:"notify-rate" default:"400" help:"Notifications a second for each instance that there is, to users of all instances by lot; 10000 at most."`
	Warmup      time.Duration `default:"1s" help:"Publish for so long before measuring; 1m at most."`
	Window      time.Duration `default:"5s" help:"Measure for so long, 1m at most."`
	Subscribers int           `default:"18000" help:"Users who connect to one instance at once, 18000 at most; 0: leave this part out."`
	Hold        time.Duration `default:"25s" help:"How long to hold them before looking at memory: long enough for a server to give back what connecting took; 5m at most."`
	RetryDelay  time.Duration `default:"500ms" help:"REDIS_FEED_RETRY_DELAY while Redis is cut off and started again, 10s at most."`
	Rounds      int           `default:"3" help:"Make each measurement so many times, 20 at most. Tables have medians; memory and the restart of Redis are looked at in the first round only."`
	Short       bool          `help:"Small numbers, for about half a minute: whether it works, not how fast."`
	Commit      string        `help:"What is measured, for the summary."`
	Logs        string        `placeholder:"PREFIX" help:"What the names of the log files begin with; without it they go away at the end."`
	JSON        string        `name:"json" placeholder:"FILE" help:"Write all reports here."`
	From        string        `xor:"from" placeholder:"FILE" help:"Measure nothing, but take such a file."`
	Page        string        `type:"existingfile" placeholder:"FILE" help:"Write the tables into this document, each between its two markers."`
}

// The bounds of what may be asked for.
const (
	maxInstances   = 16
	maxUsers       = 1000
	maxSubscribers = 18_000
)

// feedsSummary is what --json has.
type feedsSummary struct {
	Time    time.Time       `json:"time"`
	Elapsed time.Duration   `json:"elapsed"` // ns
	Commit  string          `json:"commit,omitempty"`
	Args    []string        `json:"args"` // of roostbench
	Machine suite.Machine   `json:"machine"`
	Reports []report.Report `json:"reports"`
}

func (c *feedsCmd) validate() error {
	for _, n := range c.Instances {
		if n < 0 || n > maxInstances || n == 0 && len(c.Instances) > 1 {
			return fmt.Errorf("--instances %v: each from 1 to %d, or 0 alone", c.Instances, maxInstances)
		}
	}
	switch {
	case c.Users < 1 || c.Users > maxUsers:
		return fmt.Errorf("--users %d: from 1 to %d", c.Users, maxUsers)
	case c.Notify < 1 || c.Notify > 10_000:
		return fmt.Errorf("--notify-rate %d: from 1 to 10000", c.Notify)
	case c.Subscribers < 0 || c.Subscribers > maxSubscribers || c.Subscribers == 1:
		return fmt.Errorf("--subscribers %d: from 2 to %d, or 0", c.Subscribers, maxSubscribers)
	case c.Rounds < 1 || c.Rounds > suite.MaxRounds:
		return fmt.Errorf("--rounds %d: from 1 to %d", c.Rounds, suite.MaxRounds)
	case c.Window <= 0 || c.Window > time.Minute || c.Warmup < 0 || c.Warmup > time.Minute:
		return fmt.Errorf("--warmup %s --window %s: 1m at most", c.Warmup, c.Window)
	case c.Hold < 0 || c.Hold > 5*time.Minute || c.RetryDelay <= 0 || c.RetryDelay > 10*time.Second:
		return fmt.Errorf("--hold %s --retry-delay %s: 5m and 10s at most", c.Hold, c.RetryDelay)
	}
	return nil
}

// shorten puts small numbers in the place of all.
func (c *feedsCmd) shorten() {
	c.Instances, c.Users, c.Notify, c.Warmup, c.Window = []int{1, 2}, 20, 100, 100*time.Millisecond, 500*time.Millisecond
	c.Subscribers, c.Hold, c.Rounds = 300, time.Second, 1
}

// Run measures, or takes what was measured, and tells.
func (c *feedsCmd) Run(env *environment) error {
	if c.From != "" {
		all, err := readFeeds(c.From)
		if err != nil {
			return err
		}
		return c.tell(env, all)
	}
	if c.Short {
		c.shorten()
	}
	if err := c.validate(); err != nil {
		return err
	}
	if err := roomForFiles(); err != nil { // the children inherit it
		return err
	}
	all := &feedsSummary{Time: time.Now().UTC(), Commit: c.Commit, Args: env.args, Machine: suite.ThisMachine()}
	run := &feedsRun{feedsCmd: c, env: env, secret: rand.Text() + rand.Text(), logs: c.Logs}
	if run.logs == "" {
		dir, err := os.MkdirTemp("", "roostbench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		run.logs = filepath.Join(dir, "feeds")
	}
	err := run.measure(all)
	all.Elapsed = time.Since(all.Time)
	if err != nil {
		return err
	}
	return c.tell(env, all)
}

// tell writes the tables and the files.
func (c *feedsCmd) tell(env *environment, all *feedsSummary) error {
	for _, comparison := range report.Compare(all.Reports) {
		if err := comparison.Table(env.stdout); err != nil {
			return err
		}
	}
	if c.JSON != "" {
		if err := report.WriteFile(c.JSON, all); err != nil {
			return err
		}
	}
	if c.Page == "" {
		return nil
	}
	return all.intoPage(c.Page)
}

// feedsRun is one run.
type feedsRun struct {
	*feedsCmd
	env    *environment
	secret string
	logs   string // prefix of log files
}

// measure makes all measurements. The feeds take turns in each.
func (r *feedsRun) measure(all *feedsSummary) error {
	for round := range r.Rounds {
		for _, n := range r.Instances {
			if n == 0 {
				continue
			}
			if err := r.each(all, round, fmt.Sprintf("spread-%d", n), func(m *feedMeasurement) error { return m.spread(n) }); err != nil {
				return err
			}
		}
		if r.Subscribers == 0 {
			continue
		}
		if err := r.each(all, round, "subscribe", func(m *feedMeasurement) error { return m.subscribe(round == 0) }); err != nil {
			return err
		}
	}
	return nil
}

// each measures each feed.
func (r *feedsRun) each(all *feedsSummary, round int, step string, measure func(*feedMeasurement) error) error {
	for _, feed := range r.Feeds {
		_, _ = fmt.Fprintf(r.env.stderr, "%s, round %d: %s\n", step, round+1, feed)
		m := &feedMeasurement{feedsRun: r, feed: feed, name: fmt.Sprintf("%s.%s-%s-%d", r.logs, step, feed, round+1)}
		m.report = report.Report{Step: step, Server: feed, Round: round + 1, Time: time.Now().UTC(), Args: r.env.args}
		if err := m.whole(measure); err != nil {
			return fmt.Errorf("%s, round %d: %s: %w", step, round+1, feed, err)
		}
		all.Reports = append(all.Reports, m.report)
	}
	return nil
}

// feedMeasurement is one measurement of one feed.
type feedMeasurement struct {
	*feedsRun
	feed   string
	name   string // prefix of log files
	redis  *redisd.Redis
	report report.Report
}

// whole starts Redis, measures, and ends Redis.
func (m *feedMeasurement) whole(measure func(*feedMeasurement) error) error {
	start := redisd.Start
	if m.feed == "sharded" {
		start = redisd.StartCluster
	}
	var err error
	m.redis, err = start(m.env.ctx, m.name)
	defer m.redis.Stop()
	if err != nil {
		return err
	}
	return errors.Join(measure(m), m.env.ctx.Err())
}
