package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"roost/bench/roostbench/internal/child"
	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/procfs"
	"roost/bench/roostbench/internal/redisd"
	"roost/bench/roostbench/internal/redispub"
	"roost/bench/roostbench/internal/report"
	"roost/bench/roostbench/internal/suite"
	"roost/bench/roostbench/internal/swarm"
)

type upgradeCmd struct {
	Program     string        `required:"" help:"The server. It has to know WS_UPGRADE."`
	Env         []string      `sep:"none" placeholder:"VAR=VALUE" help:"A variable for it; may be given several times."`
	Modes       []string      `default:"handover,drain" enum:"handover,drain" help:"The values of WS_UPGRADE to measure, in turn."`
	Connections []int         `default:"1000,5000,15000" help:"Connections that are open, 18000 at most."`
	Notify      int           `name:"notify-rate" default:"2000" help:"Notifications a second while the upgrade goes on, 10000 at most."`
	Rounds      int           `default:"3" help:"Make each measurement so many times, 20 at most. Tables have medians."`
	JSON        string        `name:"json" placeholder:"FILE" help:"Write all reports here."`
	Settle      time.Duration `default:"2s" help:"How long to publish before the upgrade, and after it; 1m at most."`
}

// The figures of an upgrade.
const (
	figUpgradeTook    = "from the signal until the new process serves"
	figUpgradePaused  = "everything stands still"
	figUpgradeWorst   = "latest notification"
	figUpgradeP99     = "notifications around the upgrade, p99"
	figUpgradeUntil   = "until the last connection is closed"
	figUpgradeClosed  = "connections closed"
	figUpgradeOne     = "memory of one process before"
	figUpgradeBoth    = "memory of both, most"
	figUpgradeRatio   = "memory of both, in times of one"
	figUpgradeMissing = "notifications missing"
)

// Run measures each mode for each number of connections.
func (c *upgradeCmd) Run(env *environment) error {
	if err := c.validate(); err != nil {
		return err
	}
	if err := roomForFiles(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "roostbench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var reports []report.Report
	for round := range c.Rounds {
		for _, n := range c.Connections {
			for _, mode := range c.Modes {
				_, _ = fmt.Fprintf(env.stderr, "%d connections, round %d: %s\n", n, round+1, mode)
				m := &upgradeMeasurement{upgradeCmd: c, env: env, mode: mode, connections: n, secret: rand.Text() + rand.Text(),
					logs: filepath.Join(dir, fmt.Sprintf("%s-%d-%d", mode, n, round))}
				m.report = report.Report{Step: fmt.Sprintf("upgrade-%d", n), Server: mode, Round: round + 1, Time: time.Now().UTC(), Args: env.args}
				if err := m.run(); err != nil {
					return fmt.Errorf("%d connections, %s: %w", n, mode, err)
				}
				reports = append(reports, m.report)
			}
		}
	}
	for _, comparison := range report.Compare(reports) {
		if err := comparison.Table(env.stdout); err != nil {
			return err
		}
	}
	if c.JSON == "" {
		return nil
	}
	return report.WriteFile(c.JSON, reports)
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
	case c.Rounds < 1 || c.Rounds > suite.MaxRounds:
		return fmt.Errorf("--rounds %d: from 1 to %d", c.Rounds, suite.MaxRounds)
	case c.Settle <= 0 || c.Settle > time.Minute:
		return fmt.Errorf("--settle %s: 1m at most", c.Settle)
	}
	return nil
}

// upgradeMeasurement is one upgrade of one server.
type upgradeMeasurement struct {
	*upgradeCmd
	env         *environment
	mode        string
	connections int
	secret      string
	logs        string
	report      report.Report
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
		"WS_UPGRADE=" + m.mode, "WS_DRAIN_WINDOW=1m", "WS_SHUTDOWN_TIMEOUT=80s",
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
	time.Sleep(m.Settle)
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
	for m.mode == "drain" && clients.Stats().Open > 0 && time.Since(began) < 2*time.Minute {
		time.Sleep(10 * time.Millisecond)
	}
	closed := time.Since(began)
	time.Sleep(m.Settle)
	stop()
	if err := <-published; err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	time.Sleep(quietPeriod)
	r, late := &m.report, clients.Latencies()
	r.Add(figUpgradeTook, float64(state.took.Milliseconds()), "ms")
	r.Add(figUpgradeClosed, float64(m.connections-clients.Stats().Open), "")
	r.Add(figUpgradeOne, mebi(before.Anon), "MiB")
	r.Add(figUpgradeBoth, mebi(most), "MiB")
	r.Add(figUpgradeRatio, float64(most)/float64(before.Anon), "")
	if m.mode == "drain" {
		r.Add(figUpgradeUntil, closed.Seconds(), "s")
	} else {
		r.Add(figUpgradePaused, float64(state.PausedMS), "ms")
		r.Add(figUpgradeWorst, float64(late.Max())/1e6, "ms")
		r.Add(figUpgradeP99, float64(late.ValueAtQuantile(99))/1e6, "ms")
		r.Add(figUpgradeMissing, float64(clients.Missing(publisher.Published)), "")
	}
	return nil
}

// upgradeState is what the server says at /upgrade.
type upgradeState struct {
	Pid      int   `json:"pid"`
	PausedMS int64 `json:"paused_ms"`
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
		case !after.IsZero() && (m.mode == "drain" || time.Since(after) > 200*time.Millisecond):
			return state, most, nil
		}
		time.Sleep(time.Millisecond)
	}
	return state, most, errors.New("no other process serves")
}
