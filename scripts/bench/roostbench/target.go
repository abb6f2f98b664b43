package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"roost/bench/roostbench/internal/dialect"
	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/procfs"
	"roost/bench/roostbench/internal/redispub"
	"roost/bench/roostbench/internal/report"
	"roost/bench/roostbench/internal/swarm"
)

// The bounds of what may be asked for.
const (
	maxTime   = 30 * time.Minute // of one part of a run
	maxRounds = 100
	maxPad    = 16 << 10
)

// targetFlags are the flags of every measurement.
type targetFlags struct {
	URL         string  `name:"url" default:"ws://127.0.0.1:8081/ws" help:"The server's WebSocket endpoint, on a loopback address; with wss:// TLS, whose certificate is not checked."`
	Secret      string  `env:"JWT_SECRET_KEY" required:"" help:"What tokens are signed with; better given as JWT_SECRET_KEY."`
	PID         int     `name:"pid" required:"" help:"The server's process, to see what it costs, with those that it has started."`
	Resume      bool    `help:"With wss://: resume TLS sessions, as clients do that come back."`
	Label       string  `default:"server" help:"What to call the server in the report."`
	Step        string  `help:"What to call the measurement in the report."`
	JSON        string  `name:"json" placeholder:"FILE" help:"Write the report here too."`
	Quiet       bool    `help:"No progress line."`
	Loops       int     `default:"1" help:"Event loops of the load generator."`
	Sources     int     `default:"32" help:"Source addresses, 127.0.0.2 and on, 250 at most: ports of one pair of addresses run out."`
	FirstSource int     `default:"0" help:"Leave out so many source addresses, to share a server between several of these."`
	PerUser     int     `default:"1" help:"Connections of each user."`
	FirstUser   int     `default:"0" help:"Number of the first user, to share a server between several of these."`
	Dialect     string  `default:"roost" enum:"roost,centrifugo" help:"How the server is spoken to (${enum})."`
	Rate        float64 `name:"connect-rate" default:"0" help:"Connections opened a second; 0: as fast as --in-flight lets."`
	InFlight    int     `default:"256" help:"Handshakes under way at once."`
	Metrics     string  `placeholder:"URL" help:"The server's metrics as Prometheus reads them, on a loopback address, for its heap and its goroutines; without it they are left out."`
	ServerLog   string  `placeholder:"FILE" help:"What the server writes, for its collections; it has to run with GODEBUG=gctrace=1. Without it they are left out."`
}

var errTarget = errors.New("not a target")

// address reads a loopback address with a port. Names are not looked up.
func address(hostport string) (netip.AddrPort, error) {
	hostport = strings.Replace(hostport, "localhost:", "127.0.0.1:", 1)
	a, err := netip.ParseAddrPort(hostport)
	if err != nil {
		return a, fmt.Errorf("%w: %q: it has to be like 127.0.0.1:8081", errTarget, hostport)
	}
	if !a.Addr().Is4() || !a.Addr().IsLoopback() {
		return a, fmt.Errorf("%w: %s is not a loopback address (127.0.0.0/8): only this machine may be loaded", errTarget, a)
	}
	return a, nil
}

// endpoint reads where clients connect, and checks that there is a secret.
func endpoint(where, secret string) (server netip.AddrPort, path string, err error) {
	u, err := url.Parse(where)
	if err != nil || u.Scheme != "ws" && u.Scheme != "wss" {
		return server, "", fmt.Errorf("%w: %q: it has to be like ws://127.0.0.1:8081/ws", errTarget, where)
	}
	if secret == "" {
		return server, "", fmt.Errorf("%w: JWT_SECRET_KEY is empty", errTarget)
	}
	server, err = address(u.Host)
	return server, u.Path, err
}

// config is the swarm's part of the flags.
func (f targetFlags) config() (swarm.Config, error) {
	server, path, err1 := endpoint(f.URL, f.Secret)
	d, err2 := dialect.Named(f.Dialect)
	if err := errors.Join(err1, err2); err != nil {
		return swarm.Config{}, err
	}
	return swarm.Config{
		Server: server, Path: path + d.Query, Secret: []byte(f.Secret), Dialect: d,
		TLS: strings.HasPrefix(f.URL, "wss:"), Resume: f.Resume,
		Loops: min(f.Loops, 8), FirstSource: f.FirstSource, Sources: f.Sources, PerUser: f.PerUser, FirstUser: f.FirstUser,
	}, nil
}

// checkMetrics lets only this machine be asked.
func (f targetFlags) checkMetrics() error {
	if f.Metrics == "" {
		return nil
	}
	u, err := url.Parse(f.Metrics)
	if err != nil || u.Scheme != "http" {
		return fmt.Errorf("--metrics: %w: %q: it has to be like http://127.0.0.1:8082/metrics?format=prometheus", errTarget, f.Metrics)
	}
	if _, err := address(u.Host); err != nil {
		return fmt.Errorf("--metrics: %w", err)
	}
	return nil
}

func (f targetFlags) pace() swarm.Pace { return swarm.Pace{Rate: f.Rate, InFlight: f.InFlight} }

// measurement is one run of one subcommand.
type measurement struct {
	env    *environment
	flags  targetFlags
	config swarm.Config
	swarm  *swarm.Swarm
	clock  note.Clock
	report report.Report
	line   *progressLine
}

// begin checks the flags and starts the loops.
func begin(env *environment, step string, flags targetFlags, adjust func(*swarm.Config)) (*measurement, error) {
	cfg, err := flags.config()
	if err != nil {
		return nil, err
	}
	if adjust != nil {
		adjust(&cfg)
	}
	if err := roomForFiles(); err != nil {
		return nil, err
	}
	if err := flags.checkMetrics(); err != nil {
		return nil, err
	}
	if _, err := procfs.Read(flags.PID); err != nil {
		return nil, fmt.Errorf("--pid: %w", err)
	}
	m := &measurement{env: env, flags: flags, config: cfg, clock: note.NewClock()}
	if m.swarm, err = swarm.New(cfg, m.clock); err != nil {
		return nil, err
	}
	m.report = report.Report{Step: cmp.Or(flags.Step, step), Server: flags.Label, Time: time.Now().UTC(), Args: withoutSecret(env.args, flags.Secret)}
	m.line = startProgress(env, flags.Quiet, m.swarm)
	return m, nil
}

// withoutSecret is the command line as it may be shown.
func withoutSecret(args []string, secret string) []string {
	var shown []string
	for _, arg := range args {
		shown = append(shown, strings.ReplaceAll(arg, secret, "…"))
	}
	return shown
}

// open opens connections up to n and fails if any did not open.
func (m *measurement) open(from, to int) error {
	if err := m.swarm.Open(m.env.ctx, from, to, m.flags.pace()); err != nil {
		return fmt.Errorf("opening %d connections: %w", to, err)
	}
	if now := m.swarm.Stats(); now.Open != to {
		return fmt.Errorf("%d of %d connections are open: %v", now.Open, to, m.swarm.Problems())
	}
	return nil
}

// sample looks at the server, with all processes that it has started.
func (m *measurement) sample() (procfs.Sample, error) { return procfs.ReadTree(m.flags.PID) }

// restLooks is how long memory is looked at, once a second, where it is at rest: a collection may have ended just before one look.
const restLooks = 10 * time.Second

// sampleFor looks at the server for a time, and returns the look whose RssAnon is the median, and the last one.
func (m *measurement) sampleFor(d time.Duration) (median, last procfs.Sample, err error) {
	var looks []procfs.Sample
	for end := time.Now().Add(d); ; {
		if last, err = m.sample(); err != nil {
			return median, last, err
		}
		looks = append(looks, last)
		left := time.Until(end)
		if left <= 0 {
			slices.SortFunc(looks, func(a, b procfs.Sample) int { return cmp.Compare(a.Anon, b.Anon) })
			return looks[len(looks)/2], last, nil
		}
		if err := m.pause(min(left, time.Second)); err != nil {
			return median, last, err
		}
	}
}

// finish writes the report. Err is how the measurement went.
func (m *measurement) finish(err error) error {
	m.line.stop()
	err = errors.Join(err, m.swarm.Stop())
	if err != nil {
		return err
	}
	m.report.Problems = m.swarm.Problems()
	if m.flags.JSON != "" {
		if err := report.WriteFile(m.flags.JSON, m.report); err != nil {
			return err
		}
	}
	return m.report.Table(m.env.stdout)
}

// withPublisher has measure use a publisher that publishes for the swarm, and ends the measurement.
func (m *measurement) withPublisher(cfg redispub.Config, measure func(*measurement, *redispub.Publisher) error) error {
	cfg.Dialect = m.config.Dialect
	cfg.Arrived = func() int { return m.swarm.Stats().Received }
	p, err := redispub.New(cfg, m.clock)
	if err != nil {
		return m.finish(err)
	}
	err = measure(m, p)
	_ = p.Close()
	return m.finish(err)
}

// openSubscribed waits until the server listens to Redis, and opens connections.
func (m *measurement) openSubscribed(p *redispub.Publisher, connections int) error {
	if err := p.AwaitSubscriber(m.env.ctx); err != nil {
		return err
	}
	return m.open(0, connections)
}

// pause waits, maxTime at most, or returns why it was interrupted.
func (m *measurement) pause(d time.Duration) error { return m.env.pause(min(d, maxTime)) }
