package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"time"

	"roost/bench/roostbench/internal/bystanders"
	"roost/bench/roostbench/internal/dialect"
	"roost/bench/roostbench/internal/netem"
	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/raw"
	"roost/bench/roostbench/internal/redispub"
	"roost/bench/roostbench/internal/report"
)

type burstCmd struct {
	Program     string        `required:"" help:"The server."`
	Env         []string      `sep:"none" placeholder:"VAR=VALUE" help:"A variable for it; may be given several times."`
	Dialect     string        `default:"roost" enum:"roost,centrifugo" help:"How the server is spoken to (${enum})."`
	Only        []string      `enum:"bursts,readers,far" default:"bursts,readers,far" help:"What to measure: bursts to clients that read as fast as they can; readers of every speed, and none; clients behind a slow, far or lossy path."`
	Counts      []int         `default:"200,1000,5000" help:"Notifications of a burst to one user, 20000 each at most."`
	Sizes       []int         `default:"100,1000,10000" help:"Bytes of each notification, as it is published, 16000 each at most."`
	Connections []int         `default:"1,2,20" help:"Connections of the user, 50 each at most."`
	Readers     int           `default:"20" help:"Clients of each speed, 100 at most."`
	Stalled     int           `default:"40" help:"Clients that read nothing, to see what they cost, 100 at most."`
	StalledFor  int           `name:"stalled-count" default:"5000" help:"Notifications of 1 KB for each of them, 20000 at most."`
	Hold        time.Duration `default:"14s" help:"How long slow clients read slowly before they read all that is left, 1m at most."`
	End         time.Duration `default:"20s" help:"How long to wait for the server to end clients that read nothing, 1m at most."`
	Far         int           `default:"0" help:"Measure only the first so many kinds of path; 0: all."`
	Others      int           `default:"100" help:"Connections beside, of users of their own, 1000 at most."`
	OthersRate  int           `default:"1000" help:"Notifications a second to all of these together, 10000 at most."`
	Logs        string        `placeholder:"PREFIX" help:"What the names of the log files begin with; without it they go away at the end."`
	Label       string        `default:"server" help:"What to call the server in the report."`
	Step        string        `help:"What to call the measurement in the report."`
	JSON        string        `name:"json" placeholder:"FILE" help:"Write the report here too."`
	Quiet       bool          `help:"Don't say what is being measured."`
	Inside      bool          `hidden:"" help:"In the namespace that this command has made for itself."`
}

// The bounds of what may be asked for.
const (
	maxBurstCount = 20_000
	maxBurstSize  = 16_000
	maxBurstConns = 50
	maxReaders    = 100
)

func (c *burstCmd) validate() error {
	for _, list := range []struct {
		flag   string
		values []int
		most   int
	}{
		{"counts", c.Counts, maxBurstCount}, {"sizes", c.Sizes, maxBurstSize}, {"connections", c.Connections, maxBurstConns},
		{"readers", []int{c.Readers}, maxReaders}, {"stalled", []int{c.Stalled}, maxReaders}, {"stalled-count", []int{c.StalledFor}, maxBurstCount},
		{"others", []int{c.Others}, maxUsers}, {"others-rate", []int{c.OthersRate}, 10_000},
	} {
		if len(list.values) == 0 || slices.Min(list.values) < 1 || slices.Max(list.values) > list.most {
			return fmt.Errorf("--%s %v: each from 1 to %d", list.flag, list.values, list.most)
		}
	}
	if c.Far < 0 {
		return fmt.Errorf("--far %d: 0 or more", c.Far)
	}
	if c.Hold <= 0 || c.Hold > time.Minute || c.End <= 0 || c.End > time.Minute {
		return fmt.Errorf("--hold %s --end %s: more than 0, 1m at most", c.Hold, c.End)
	}
	return nil
}

// Run starts a Redis and the server, measures, and ends both.
func (c *burstCmd) Run(env *environment) error {
	if err := c.validate(); err != nil {
		return err
	}
	if slices.Contains(c.Only, "far") && !c.Inside {
		return runInside(env)
	}
	if c.Inside {
		if err := prepareNamespace(); err != nil {
			return err
		}
	}
	m := &burstMeasurement{burstCmd: c, env: env, clock: note.NewClock()}
	var err error
	if m.dialect, err = dialect.Named(c.Dialect); err != nil {
		return err
	}
	m.report = report.Report{Step: cmp.Or(c.Step, "burst"), Server: c.Label, Time: time.Now().UTC(), Args: withoutInside(env.args)}
	if err := m.whole(); err != nil {
		return err
	}
	if c.JSON != "" {
		if err := report.WriteFile(c.JSON, m.report); err != nil {
			return err
		}
	}
	return m.report.Table(env.stdout)
}

// insideFlag is --inside.
const insideFlag = "--inside"

func withoutInside(args []string) []string {
	return slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return arg == insideFlag })
}

// runInside runs this command in a network namespace of its own, where it may make a path.
func runInside(env *environment) error {
	bench, err := os.Executable()
	if err != nil {
		return fmt.Errorf("where this program is: %w", err)
	}
	runtime.LockOSThread() // what it starts ends with this thread
	defer runtime.UnlockOSThread()
	cmd := netem.Command(env.ctx, bench, append(slices.Clone(env.args), insideFlag)...)
	cmd.Stdout, cmd.Stderr = env.stdout, env.stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("in a network namespace, which far clients need (root, or user namespaces): %w", err)
	}
	return nil
}

// prepareNamespace makes a fresh namespace like most machines.
func prepareNamespace() error {
	if err := netem.LoopbackUp(); err != nil {
		return err
	}
	// The usual choice, whatever this machine has: figures of far clients depend on it. Without the right to choose
	// they are those of this machine's.
	_ = os.WriteFile("/proc/sys/net/ipv4/tcp_congestion_control", []byte("cubic"), 0)
	return nil
}

// burstMeasurement is one run. Its goroutine is the command's.
type burstMeasurement struct {
	*burstCmd
	env     *environment
	dialect dialect.Dialect
	stand   *stand
	target  raw.Target
	others  *bystanders.Bystanders
	bursts  *redispub.Publisher
	clock   note.Clock
	user    int // the next that nobody has been yet
	report  report.Report
}

// burstRedis are arguments for Redis: its own limit on what waits for a subscriber must not decide.
var burstRedis = []string{"--client-output-buffer-limit", "pubsub 0 0 0"}

// burstPatience is how long connecting and the like may take.
const burstPatience = time.Minute

func (m *burstMeasurement) whole() (err error) {
	if err := roomForFiles(); err != nil { // the children inherit it
		return err
	}
	host := ""
	if m.Inside {
		host = "0.0.0.0" // of a namespace of our own
	}
	usual := []string{"WS_MAX_CONNECTIONS=19000", "WS_MAX_CONNECTIONS_PER_USER=0", "WS_HANDSHAKE_RATE=0", "HTTP_PPROF=true"}
	m.stand, err = startStand(m.env.ctx, standConfig{
		Program: m.Program, Env: append(usual, m.Env...), Host: host, Logs: m.Logs, Name: "burst", RedisArgs: burstRedis, Dialect: m.dialect,
	})
	defer m.stand.stop()
	if err != nil {
		return err
	}
	m.target = raw.Target{Server: m.stand.at, Path: "/ws" + m.dialect.Query, Secret: []byte(m.stand.secret), Patience: burstPatience}
	redis := m.stand.redis.Addrs()[0]
	m.user = m.Others
	// The pattern is of no use: Burst names its users.
	if m.bursts, err = redispub.New(redispub.Config{Redis: redis, Rate: 1, Pattern: redispub.Pattern{Users: 1}, Dialect: m.dialect}, m.clock); err != nil {
		return err
	}
	defer func() { _ = m.bursts.Close() }()
	m.others, err = bystanders.Start(m.env.ctx, bystanders.Config{
		Server: m.stand.at, Path: m.target.Path, Secret: m.target.Secret, Redis: redis, Dialect: m.dialect, Users: m.Others, Rate: m.OthersRate,
	}, m.clock)
	if err != nil {
		return err
	}
	err1 := m.parts()
	o, err2 := m.others.Stop()
	m.report.Add(figOthersMissing, float64(o.Missing), "")
	m.report.Add("connections of others lost", float64(o.Lost), "")
	m.report.Problems = o.Problems
	return errors.Join(err1, err2)
}

// parts measures what --only says.
func (m *burstMeasurement) parts() error {
	m.say("calm")
	m.others.Measure()
	if err := m.env.pause(calm); err != nil {
		return err
	}
	m.report.Add(figOthersCalm, m.others.P99(), "ms")
	for _, part := range []struct {
		name    string
		measure func() error
	}{{"bursts", m.burstsToFast}, {"readers", m.readersOfEverySpeed}, {"far", m.farClients}} {
		if !slices.Contains(m.Only, part.name) {
			continue
		}
		if err := part.measure(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return m.env.ctx.Err()
}

// calm is how long the others are looked at while nothing else happens.
const calm = 2 * time.Second

func (m *burstMeasurement) say(format string, args ...any) {
	if !m.Quiet {
		_, _ = fmt.Fprintf(m.env.stderr, "%s: "+format+"\n", append([]any{m.Label}, args...)...)
	}
}

// within is the target as far clients reach it.
func (m *burstMeasurement) within(path *netem.Path) raw.Target {
	far := m.target
	far.Server, far.Within = netip.AddrPortFrom(path.Near(), m.stand.at.Port()), path.Do
	return far
}
