package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"roost/bench/roostbench/internal/controller"
	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/procfs"
	"roost/bench/roostbench/internal/redispub"
	"roost/bench/roostbench/internal/report"
	"roost/bench/roostbench/internal/swarm"
)

type scaleCmd struct {
	Program     string        `required:"" help:"The server. It has to know WS_REUSE_PORT=true, with which several processes share WS_PORT."`
	Env         []string      `sep:"none" placeholder:"VAR=VALUE" help:"A variable for it; may be given several times."`
	Redis       string        `default:"127.0.0.1:6379" help:"The Redis that the servers shall listen to, on a loopback address."`
	Secret      string        `env:"JWT_SECRET_KEY" required:"" help:"What tokens are signed with, 32 bytes at least; better given as JWT_SECRET_KEY."`
	Connections int           `default:"100000" help:"Connections in all, each its own user."`
	Processes   int           `default:"6" help:"Processes of the server, and as many that connect, 16 at most; with at most 18000 connections each."`
	Certificate string        `name:"tls-certificate" type:"existingfile" help:"With --tls-key: clients come by wss://, with this certificate. It goes to the program as WS_TLS_CERT_FILE."`
	Key         string        `name:"tls-key" type:"existingfile" help:"The key of --tls-certificate."`
	InFlight    int           `default:"256" help:"Handshakes under way at once, of each process that connects."`
	Rate        float64       `name:"connect-rate" default:"0" help:"Connections opened a second in all; 0: as fast as it goes."`
	Hold        time.Duration `default:"2m" help:"How long to hold all of them before the notifications, 30m at most."`
	Window      time.Duration `default:"30s" help:"The end of the hold in which CPU is measured: a whole ping interval."`
	Notify      int           `name:"notify-rate" default:"5000" help:"Notifications a second; there is one for each user."`
	OpenLimit   time.Duration `default:"3m" help:"How long connecting may take, 30m at most."`
	Label       string        `default:"server" help:"What to call the server in the report."`
	Step        string        `help:"What to call the measurement in the report."`
	JSON        string        `name:"json" placeholder:"FILE" help:"Write the report here too."`
	Logs        string        `default:"scale" placeholder:"PREFIX" help:"What the names of the processes' log files begin with."`
	Quiet       bool          `help:"No progress line."`
}

// The bounds of a run. Connections spread over the servers by chance, so that
// one may get some hundred more than its share.
const (
	maxProcesses = 16
	maxShare     = 18_000
)

func (c *scaleCmd) validate() (netip.AddrPort, error) {
	redis, err := address(c.Redis)
	switch {
	case err != nil:
		return redis, fmt.Errorf("--redis: %w", err)
	case c.Processes < 1 || c.Processes > maxProcesses:
		return redis, fmt.Errorf("--processes %d: from 1 to %d", c.Processes, maxProcesses)
	case c.Connections < c.Processes || c.Connections > c.Processes*maxShare:
		return redis, fmt.Errorf("--connections %d for %d processes: from 1 to %d each", c.Connections, c.Processes, maxShare)
	case c.Hold < 0 || c.Hold > maxTime || c.Window <= 0 || c.OpenLimit > maxTime:
		return redis, fmt.Errorf("--hold %s --window %s --open-limit %s: %s at most", c.Hold, c.Window, c.OpenLimit, maxTime)
	case (c.Certificate == "") != (c.Key == ""):
		return redis, errors.New("--tls-certificate and --tls-key go together")
	case c.Notify < 1 || c.Notify > redispub.MaxRate:
		return redis, fmt.Errorf("--notify-rate %d: from 1 to %d", c.Notify, redispub.MaxRate)
	}
	return redis, nil
}

// Run starts everything, measures, and ends everything.
func (c *scaleCmd) Run(env *environment) error {
	redis, err := c.validate()
	if err != nil {
		return err
	}
	if err := roomForFiles(); err != nil { // the children inherit it
		return err
	}
	r := report.Report{Step: cmp.Or(c.Step, "scale"), Server: c.Label, Time: time.Now().UTC(), Args: withoutSecret(env.args, c.Secret)}
	if err := c.measure(env, redis, &r); err != nil {
		return err
	}
	if c.JSON != "" {
		if err := report.WriteFile(c.JSON, r); err != nil {
			return err
		}
	}
	return r.Table(env.stdout)
}

func (c *scaleCmd) measure(env *environment, redis netip.AddrPort, r *report.Report) error {
	servers, url, err := c.startServers(env, redis)
	defer servers.stop()
	if err != nil {
		return err
	}
	workers, ctl, err := c.startWorkers(url)
	defer workers.stop()
	if err != nil {
		return err
	}
	w := &watch{env: env, controller: ctl, servers: servers, quiet: c.Quiet}
	if err := w.env.pause(startUp); err != nil {
		return err
	}
	empty, err := w.sample()
	if err != nil {
		return err
	}
	if err := c.connect(w, empty, r); err != nil {
		return err
	}
	if err := c.holdAll(w, empty, r); err != nil {
		return err
	}
	return c.notify(w, redis, r)
}

// startUp is how long processes get to start up, before what they are without connections is looked at. A proxy that starts later
// than others would leave them more connections than they have room for.
const startUp = 2 * time.Second

// connect has all workers connect and says what that took.
func (c *scaleCmd) connect(w *watch, before procfs.Sample, r *report.Report) error {
	start := time.Now()
	if _, err := w.controller.Send(controller.Open); err != nil {
		return err
	}
	now, err := w.until(c.OpenLimit, func(s swarm.Stats) bool { return s.Open+s.Failed+s.Lost >= c.Connections })
	if err != nil {
		return err
	}
	took := time.Since(start)
	if now.Stats.Open != c.Connections {
		return fmt.Errorf("%d of %d connections are open after %s: %s", now.Stats.Open, c.Connections, took, now.Failures())
	}
	after, err := w.sample()
	if err != nil {
		return err
	}
	cost := after.Since(before)
	r.Add("connections", float64(now.Stats.Open), "")
	r.Add("server processes", float64(c.Processes), "")
	r.Add("time to connect", took.Seconds(), "s")
	r.Add("CPU a handshake", (cost.User+cost.System).Seconds()*1e6/float64(c.Connections), "µs")
	return nil
}

// holdAll holds all connections and looks at what that costs.
func (c *scaleCmd) holdAll(w *watch, empty procfs.Sample, r *report.Report) error {
	if err := w.pause(max(c.Hold-c.Window, 0)); err != nil {
		return err
	}
	before, err := w.sample()
	if err != nil {
		return err
	}
	if err := w.pause(min(c.Hold, c.Window)); err != nil {
		return err
	}
	after, err := w.sample()
	if err != nil {
		return err
	}
	cost, each := after.Since(before), func(a, b int64) float64 { return procfs.Slope(a, b, c.Connections) }
	r.Add("held", c.Hold.Seconds(), "s")
	r.Add("RssAnon in all", mebi(after.Anon), "MiB")
	r.Add("RSS in all", mebi(after.RSS), "MiB")
	r.Add("RssAnon in all, with nobody connected", mebi(empty.Anon), "MiB")
	r.Add("RssAnon a connection", each(empty.Anon, after.Anon), "B")
	c.addKernel(empty, after, r)
	r.Add("CPU idling", 100*(cost.User+cost.System).Seconds()/cost.Elapsed.Seconds(), "% of a core")
	return nil
}

// addKernel adds what the kernel has for the connections. A connection has two sockets on this machine, and four with a proxy;
// one of them is the client's.
func (c *scaleCmd) addKernel(empty, after procfs.Sample, r *report.Report) {
	kernel := after.KernelMemory - empty.KernelMemory + after.TCPMemory - empty.TCPMemory
	sockets := 2 * max(1, math.Round(procfs.Slope(empty.TCPSockets, after.TCPSockets, c.Connections)/2))
	servers := mebi(kernel) * (sockets - 1) / sockets
	r.Add("sockets a connection, with the client's", sockets, "")
	r.Add("kernel memory a socket", procfs.Slope(0, kernel, c.Connections)/sockets, "B")
	r.Add("kernel memory in all, without the clients' ends", servers, "MiB")
	r.Add("RssAnon and kernel memory in all", mebi(after.Anon)+servers, "MiB")
}

// notify sends each user one notification.
func (c *scaleCmd) notify(w *watch, redis netip.AddrPort, r *report.Report) error {
	now, err := w.controller.Send(controller.Measure)
	if err != nil {
		return err
	}
	if now.Stats.Lost > 0 {
		return fmt.Errorf("%d connections were lost: %s", now.Stats.Lost, now.Failures())
	}
	before, err := w.sample()
	if err != nil {
		return err
	}
	run, err := c.publish(w, redis)
	if err != nil {
		return err
	}
	if _, err := w.until(patience, func(s swarm.Stats) bool { return s.Received >= run.Expected }); err != nil && !errors.Is(err, errPatience) {
		return err
	}
	after, err := w.sample()
	if err != nil {
		return err
	}
	sum, err := w.controller.Send(controller.Results)
	if err != nil {
		return err
	}
	cost := after.Since(before)
	r.Add("pings received", float64(sum.Stats.Pings), "")
	r.Add("notifications", float64(run.Published), "")
	r.Add("published", float64(run.Published)/run.Elapsed.Seconds(), "/s")
	for _, q := range []float64{50, 99, 99.9} {
		r.Add(fmt.Sprintf("latency p%v", q), float64(sum.Latencies.ValueAtQuantile(q))/1e6, "ms")
	}
	r.Add("CPU a notification, of all processes", (cost.User+cost.System).Seconds()*1e6/float64(run.Published), "µs")
	r.Add("duplicates", float64(sum.Stats.Duplicates), "")
	r.Add("for another user", float64(sum.Stats.WrongUser), "")
	r.Add("connections lost", float64(sum.Stats.Lost), "")
	r.Add("missing", float64(sum.Missing), "")
	r.Problems = sum.Problems
	return w.env.ctx.Err()
}

func (c *scaleCmd) publish(w *watch, redis netip.AddrPort) (redispub.Result, error) {
	p, err := redispub.New(redispub.Config{
		Redis: redis, Rate: c.Notify, Pad: burstPad, Pattern: redispub.Pattern{Users: c.Connections, InTurn: true},
	}, note.NewClock())
	if err != nil {
		return redispub.Result{}, err
	}
	defer p.Close()
	if err := p.AwaitSubscriber(w.env.ctx); err != nil {
		return redispub.Result{}, err
	}
	return p.RunCount(w.env.ctx, c.Connections)
}
