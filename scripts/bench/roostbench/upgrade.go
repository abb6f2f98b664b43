package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"roost/bench/roostbench/internal/child"
	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/procfs"
	"roost/bench/roostbench/internal/redisd"
	"roost/bench/roostbench/internal/redispub"
	"roost/bench/roostbench/internal/report"
	"roost/bench/roostbench/internal/swarm"
)

type upgradeCmd struct {
	Program     string        `required:"" help:"The server."`
	Env         []string      `sep:"none" placeholder:"VAR=VALUE" help:"A variable for it, such as WS_UPGRADE=drain; may be given several times."`
	Connections []int         `default:"1000,5000,15000" help:"Connections that are open, 18000 at most; an upgrade for each number."`
	Notify      int           `name:"notify-rate" default:"2000" help:"Notifications a second while the upgrade goes on, 10000 at most."`
	Steady      time.Duration `default:"2s" help:"How long to publish before the upgrade, and after it; 1m at most."`
	Logs        string        `placeholder:"PREFIX" help:"What the names of the log files begin with; without it they go away at the end."`
	Label       string        `default:"server" help:"What to call the server in the report."`
	Step        string        `help:"What to call the measurement in the report."`
	JSON        string        `name:"json" placeholder:"FILE" help:"Write the report here too."`
	Quiet       bool          `help:"Don't say what is being measured."`
}

// The figures of an upgrade, in their order. Some are of one kind of upgrade alone.
const (
	figUpgradeTook    = "from the signal until the new process serves"
	figUpgradePaused  = "everything stands still"
	figUpgradeP50     = "notifications from the signal on, p50"
	figUpgradeP99     = "notifications from the signal on, p99"
	figUpgradeWorst   = "the latest notification"
	figUpgradeMissing = "notifications missing"
	figUpgradeClosed  = "connections closed"
	figUpgradeUntil   = "until the last connection is closed"
	figUpgradeOne     = "memory of the old process before"
	figUpgradeBoth    = "memory of both processes, the most"
	figUpgradeRatio   = "memory of both, in times of the old one's"
)

// upgradeFigures are all of them with their units.
var upgradeFigures = []struct{ name, unit string }{
	{figUpgradeTook, "ms"}, {figUpgradePaused, "ms"}, {figUpgradeP50, "ms"}, {figUpgradeP99, "ms"}, {figUpgradeWorst, "ms"},
	{figUpgradeMissing, ""}, {figUpgradeClosed, ""}, {figUpgradeUntil, "s"},
	{figUpgradeOne, "MiB"}, {figUpgradeBoth, "MiB"}, {figUpgradeRatio, ""},
}

// Run upgrades a server for each number of connections.
func (c *upgradeCmd) Run(env *environment) error {
	if err := c.validate(); err != nil {
		return err
	}
	if err := roomForFiles(); err != nil {
		return err
	}
	logs := c.Logs
	if logs == "" {
		dir, err := os.MkdirTemp("", "roostbench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		logs = filepath.Join(dir, "upgrade")
	}
	all := make(map[string]map[int]float64)
	for _, n := range c.Connections {
		if !c.Quiet {
			_, _ = fmt.Fprintf(env.stderr, "%d connections\n", n)
		}
		m := &upgradeMeasurement{upgradeCmd: c, env: env, connections: n, secret: rand.Text() + rand.Text(), logs: fmt.Sprintf("%s.%d", logs, n)}
		if err := m.run(); err != nil {
			return fmt.Errorf("%d connections: %w", n, err)
		}
		for name, value := range m.figures {
			if all[name] == nil {
				all[name] = make(map[int]float64)
			}
			all[name][n] = value
		}
	}
	r := report.Report{Step: cmp.Or(c.Step, "upgrade"), Server: c.Label, Time: time.Now().UTC(), Args: env.args}
	for _, f := range upgradeFigures {
		for _, n := range slices.Sorted(maps.Keys(all[f.name])) {
			r.AddAt(f.name, n, all[f.name][n], f.unit)
		}
	}
	if c.JSON != "" {
		if err := report.WriteFile(c.JSON, r); err != nil {
			return err
		}
	}
	return r.Table(env.stdout)
}

func (c *upgradeCmd) validate() error {
	for _, n := range c.Connections {
		if n < 1 || n > maxSubscribers {
			return fmt.Errorf("--connections %v: each from 1 to %d", c.Connections, maxSubscribers)
		}
	}
	switch {
	case c.Notify < 1 || c.Notify > 10_000:
		return fmt.Errorf("--notify-rate %d: from 1 to 10000", c.Notify)
	case c.Steady <= 0 || c.Steady > time.Minute:
		return fmt.Errorf("--steady %s: 1m at most", c.Steady)
	}
	return nil
}

// upgradeMeasurement is one upgrade.
type upgradeMeasurement struct {
	*upgradeCmd
	env         *environment
	connections int
	secret      string
	logs        string
	figures     map[string]float64
}

func (m *upgradeMeasurement) run() error {
	redis, err := redisd.Start(m.env.ctx, m.logs)
	defer redis.Stop()
	if err != nil {
		return err
	}
	port, err1 := child.FreePort()
	side, err2 := child.FreePort()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	variables := append([]string{
		"JWT_SECRET_KEY=" + m.secret, "WS_HOST=127.0.0.1", "WS_PORT=" + port, "HTTP_HOST=127.0.0.1", "HTTP_PORT=" + side,
		"WS_MAX_CONNECTIONS=19000", "WS_HANDSHAKE_RATE=0", "REDIS_HOST=127.0.0.1", fmt.Sprintf("REDIS_PORT=%d", redis.Addrs()[0].Port()),
		"WS_DRAIN_WINDOW=1m", "WS_SHUTDOWN_TIMEOUT=80s",
	}, m.Env...)
	server, err := child.Start(m.logs+".server.log", variables, m.Program)
	if err != nil {
		return err
	}
	defer server.Stop()
	if err := server.Await(m.env.ctx, child.Healthy(side)); err != nil {
		return err
	}
	clock := note.NewClock()
	clients, err := swarm.New(swarm.Config{Server: netip.MustParseAddrPort("127.0.0.1:" + port), Path: "/ws", Secret: []byte(m.secret)}, clock)
	if err != nil {
		return err
	}
	defer func() { _ = clients.Stop() }()
	if err := clients.Open(m.env.ctx, 0, m.connections, swarm.Pace{}); err != nil {
		return err
	}
	publisher, err := redispub.New(redispub.Config{
		Redis: redis.Addrs()[0], Rate: m.Notify, Pad: burstPad, Pattern: redispub.Pattern{Users: m.connections, InTurn: true},
	}, clock)
	if err != nil {
		return err
	}
	defer func() { _ = publisher.Close() }()
	return m.measure(server, "http://127.0.0.1:"+side+"/upgrade", clients, publisher, clock)
}

// measure publishes, upgrades meanwhile, and looks.
func (m *upgradeMeasurement) measure(server *child.Process, url string, clients *swarm.Swarm, publisher *redispub.Publisher, clock note.Clock) error {
	ctx, stop := context.WithCancel(m.env.ctx)
	defer stop()
	published := make(chan error, 1)
	go func() { _, err := publisher.Run(ctx, 5*time.Minute); published <- err }()
	time.Sleep(m.Steady)
	before, err := procfs.Read(server.PID())
	if err != nil {
		return err
	}
	clients.RecordFrom(clock.Now())
	began := time.Now()
	if err := syscall.Kill(server.PID(), syscall.SIGUSR2); err != nil {
		return err
	}
	state, most, err := m.follow(server.PID(), url, began)
	defer func() {
		for _, pid := range append(procfs.Children(server.PID()), state.Pid) {
			if pid != server.PID() && pid > 0 {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}()
	if err != nil {
		return err
	}
	drained := state.Began == "drain"
	for drained && clients.Stats().Open > 0 && time.Since(began) < 2*time.Minute {
		time.Sleep(10 * time.Millisecond)
	}
	closed := time.Since(began)
	time.Sleep(m.Steady)
	stop()
	if err := <-published; err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	time.Sleep(quietPeriod)
	m.figures = map[string]float64{
		figUpgradeTook:   float64(state.took.Milliseconds()),
		figUpgradeClosed: float64(m.connections - clients.Stats().Open),
		figUpgradeOne:    mebi(before.Anon), figUpgradeBoth: mebi(most), figUpgradeRatio: float64(most) / float64(before.Anon),
	}
	if drained {
		m.figures[figUpgradeUntil] = closed.Seconds()
		return nil
	}
	late := clients.Latencies()
	m.figures[figUpgradePaused] = float64(state.PausedMS)
	m.figures[figUpgradeP50] = float64(late.ValueAtQuantile(50)) / 1e6
	m.figures[figUpgradeP99] = float64(late.ValueAtQuantile(99)) / 1e6
	m.figures[figUpgradeWorst] = float64(late.Max()) / 1e6
	m.figures[figUpgradeMissing] = float64(clients.Missing(publisher.Published))
	return nil
}

// upgradeState is what the server says at /upgrade.
type upgradeState struct {
	Pid      int    `json:"pid"`
	Began    string `json:"began"` // start, handover or drain
	PausedMS int64  `json:"paused_ms"`
	Last     *struct{ Reason string }

	took time.Duration // from the signal until this process answered
}

// follow waits until another process serves, and returns what that says, and the most memory that both had together.
func (m *upgradeMeasurement) follow(pid int, url string, began time.Time) (state upgradeState, most int64, err error) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	ended := time.Now().Add(2 * time.Minute)
	var after time.Time
	for time.Now().Before(ended) && m.env.ctx.Err() == nil {
		var both int64
		for _, p := range append(procfs.Children(pid), pid) {
			both += procfs.Anon(p)
		}
		if both == 0 { // the old one has ended
			both = procfs.Anon(state.Pid)
		}
		most = max(most, both)
		response, err := client.Get(url)
		if err == nil {
			err = json.NewDecoder(response.Body).Decode(&state)
			_ = response.Body.Close()
		}
		switch {
		case err == nil && state.Last != nil:
			return state, most, errors.New(state.Last.Reason)
		case err == nil && state.Pid != pid && after.IsZero():
			after = time.Now()
			state.took = after.Sub(began)
		case !after.IsZero() && (state.Began == "drain" || time.Since(after) > 200*time.Millisecond):
			return state, most, nil
		}
		time.Sleep(time.Millisecond)
	}
	return state, most, errors.New("no other process serves")
}
