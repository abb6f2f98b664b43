package main

import (
	"fmt"
	"math"
	"strings"
)

type sizingCmd struct {
	sizing
	From string `default:"docs/bench/feeds.json" placeholder:"FILE" help:"What roostbench feeds --json wrote: what things cost."`
}

// Run prints the tables.
func (c *sizingCmd) Run(env *environment) error {
	if err := c.validate(); err != nil {
		return err
	}
	all, err := readFeeds(c.From)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(env.stdout, c.tables(all))
	return err
}

// sizing is what is assumed. The measured costs come from a run of feeds and, as defaults here, from docs/benchmarks.md.
type sizing struct {
	Connections []float64 `default:"1000000,10000000,100000000" help:"C: connections in all."`
	PerMachine  []float64 `default:"100000,250000,500000" help:"m: connections that a machine bears; one for each of --connections."`
	Notify      float64   `default:"1" help:"n: notifications a connection a minute."`
	Bytes       float64   `default:"200" help:"L: bytes of a notification."`
	Ping        float64   `default:"30" help:"P: seconds between two pings."`
	Storm       float64   `default:"5" help:"w: minutes in which all connect again."`
	Load        float64   `default:"0.5" help:"How much of a core a Redis may be busy."`
	Pool        float64   `default:"10" help:"c: connections for commands that an instance keeps to each node of a cluster."`
	Ports       float64   `default:"28232" help:"Source ports of one address of a load balancer to one backend (net.ipv4.ip_local_port_range)."`
	Memory      float64   `default:"197" help:"a: bytes of an idle connection with REDIS_FEED=pattern."`
	Kernel      float64   `default:"5123" help:"k: bytes of the kernel for a socket."`
	Least       float64   `default:"0.24" help:"U: µs of CPU to read a notification, where each read from Redis brings many."`
	Idle        float64   `default:"0.59" help:"i: µs of CPU a second to hold a connection, with its pings."`
}

// defaultSizing is what the flags are without being given.
func defaultSizing() *sizing {
	return &sizing{
		Connections: []float64{1e6, 1e7, 1e8}, PerMachine: []float64{100e3, 250e3, 500e3}, Notify: 1, Bytes: 200, Ping: 30, Storm: 5,
		Load: 0.5, Pool: 10, Ports: 28232, Memory: 197, Kernel: 5123, Least: 0.24, Idle: 0.59,
	}
}

func (s *sizing) validate() error {
	if len(s.Connections) != len(s.PerMachine) {
		return fmt.Errorf("--per-machine %v: one for each of --connections %v", s.PerMachine, s.Connections)
	}
	for _, v := range append(append([]float64{s.Bytes, s.Ping, s.Storm, s.Load, s.Ports}, s.Connections...), s.PerMachine...) {
		if v <= 0 {
			return fmt.Errorf("%v: everything has to be above 0", v)
		}
	}
	return nil
}

// costs are what was measured: µs and bytes.
type costs struct {
	deliver, read              float64 // t, u: of an instance, for a notification that it delivers, for one that it only reads
	first, more, user, sharded float64 // p, q, r, s: of Redis, for a notification
	message                    float64 // b: bytes from Redis to an instance
	shake                      float64 // h: of an instance, for a handshake
	ask, askSharded            float64 // e, g: of Redis, for one
	extra                      float64 // f: bytes of an instance for a connection, more than with pattern
	keep, keepSharded          float64 // v, x: bytes of Redis for a user
}

// costs takes them from the measurements.
func (all *feedsSummary) costs() costs {
	few, many := 0, 0
	for _, c := range all.steps() {
		if n := instancesOf(c.Step); n > 0 {
			if few == 0 || n < few {
				few = n
			}
			many = max(many, n)
		}
	}
	at := func(n int, figure, feed string) float64 { return all.median(fmt.Sprintf("spread-%d", n), figure, feed) }
	sub := func(figure, feed string) float64 { return all.median("subscribe", figure, feed) }
	over := func(a, b float64) float64 {
		if b == 0 {
			return 0
		}
		return a / b
	}
	subscribers := over(sub(figCommands, "sharded"), 1) // one command each
	return costs{
		deliver: sub(figFastRoost, "sharded"),
		read: over((at(many, figCPU, "pattern")-at(few, figCPU, "pattern"))*1e4,
			at(many, figReads, "pattern")-at(few, figReads, "pattern")),
		first: sub(figFastRedis, "pattern"),
		more:  over(at(many, figRedisNote, "pattern")-at(few, figRedisNote, "pattern"), float64(many-few)),
		user:  sub(figFastRedis, "user"), sharded: sub(figFastRedis, "sharded"),
		message: over(at(many, figRedisOut, "user")*1e3, at(many, figReads, "user")*float64(many)),
		shake:   sub(figHandshake, "sharded"),
		ask:     sub(figHandRedis, "user"), askSharded: sub(figHandRedis, "sharded"),
		extra: over((sub(figAnon, "sharded")-sub(figAnon, "pattern"))*(1<<20), subscribers),
		keep:  sub(figRedisMemory, "user") - sub(figRedisMemory, "pattern"),
		// The nodes' own share is in pattern's too, but once.
		keepSharded: sub(figRedisMemory, "sharded") - sub(figRedisMemory, "pattern"),
	}
}

// median is that of a figure; 0 of one that was not measured.
func (all *feedsSummary) median(step, figure, feed string) float64 {
	for _, c := range all.steps() {
		row := c.Row(figure)
		if c.Step != step || row == nil {
			continue
		}
		for i, server := range c.Servers {
			if server == feed {
				return row.Medians[i]
			}
		}
	}
	return 0
}

// tables are what goes in, and what comes out.
func (s *sizing) tables(all *feedsSummary) string {
	k := all.costs()
	return s.inputs(k) + "\n" + s.outputs(k)
}

func (s *sizing) inputs(k costs) string {
	const here, there, assumed = "measured above", "measured, [benchmarks](benchmarks.md)", "assumed"
	var b strings.Builder
	b.WriteString("| | | | |\n|---|---|---:|---|\n")
	for _, row := range []struct {
		letter, name string
		value        float64
		from         string
	}{
		{"n", "Notifications a connection a minute", s.Notify, assumed},
		{"L", "Bytes of a notification", s.Bytes, assumed},
		{"P", "Seconds between two pings, `WS_PING_INTERVAL`", s.Ping, "default"},
		{"w", "Minutes in which all connect again, after a zone has failed", s.Storm, assumed},
		{"l", "How much of a core a Redis may be busy", s.Load, assumed},
		{"a", "Bytes of an idle connection, `pattern`", s.Memory, there},
		{"f", "Bytes more of one, `sharded`", k.extra, here},
		{"k", "Bytes of the kernel for a socket", s.Kernel, there},
		{"i", "CPU to hold a connection, with its pings, µs a second", s.Idle, there},
		{"t", "CPU of a notification that an instance delivers, `sharded`, 20,000 a second, µs", k.deliver, here},
		{"u", "CPU of a message that it only reads, `pattern`, some thousand a second, µs (slope)", k.read, here},
		{"U", "The same where each read brings many, µs", s.Least, there},
		{"h", "CPU of a handshake, `sharded`, µs", k.shake, here},
		{"p, q", "CPU of Redis for a notification, `pattern`, with one instance, 20,000 a second; for each instance more, some thousand a second, µs (slope)", k.first, here},
		{"r", "The same, `user`, 20,000 a second", k.user, here},
		{"s", "The same, `sharded`, 20,000 a second", k.sharded, here},
		{"e", "CPU of Redis for a handshake, `user`, µs", k.ask, here},
		{"g", "The same, `sharded`", k.askSharded, here},
		{"b", "Bytes from Redis to an instance for a notification", k.message, here},
		{"v", "Bytes of Redis for a user, `user`", k.keep, here},
		{"x", "The same, `sharded`", k.keepSharded, here},
		{"c", "Connections for commands that an instance keeps to each node, `REDIS_MIN_IDLE_CONNS`", s.Pool, "default"},
	} {
		value := thousands(row.value)
		if row.letter == "p, q" {
			value += ", " + thousands(k.more)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", row.letter, row.name, value, row.from)
	}
	return b.String()
}

// size is one column of the result.
type size struct {
	*sizing
	costs
	C, m float64
}

func (z size) R() float64   { return z.C * z.Notify / 60 }        // notifications a second
func (z size) M() float64   { return math.Ceil(1.5 * z.C / z.m) } // machines
func (z size) W() float64   { return z.C / (60 * z.Storm) }       // handshakes a second of a storm
func (z size) own() float64 { return z.m * z.Notify / 60 }        // notifications a second that a machine delivers
func (z size) S() float64 { // shards
	return max(3, math.Ceil((z.R()*z.sharded+z.W()*z.askSharded)/1e6/z.Load))
}

func (s *sizing) outputs(k costs) string {
	var b strings.Builder
	b.WriteString("| |")
	for _, c := range s.Connections {
		fmt.Fprintf(&b, " %s |", thousands(c))
	}
	b.WriteString(" |\n|---|" + strings.Repeat("---:|", len(s.Connections)) + "---|\n")
	for _, row := range sizingRows() {
		fmt.Fprintf(&b, "| %s |", row.name)
		for i, c := range s.Connections {
			if row.value != nil {
				fmt.Fprintf(&b, " %s |", rounded(row.value(size{s, k, c, s.PerMachine[i]})))
			} else {
				b.WriteString(" |")
			}
		}
		fmt.Fprintf(&b, " %s |\n", row.formula)
	}
	return b.String()
}

// rounded has three digits that mean something, also where the number is long.
func rounded(v float64) string {
	if v >= 1000 && v != math.Trunc(v) {
		unit := math.Pow(10, math.Floor(math.Log10(v))-2)
		v = math.Round(v/unit) * unit
	}
	return thousands(v)
}

type sizingRow struct {
	name    string
	value   func(size) float64 // nil: a heading
	formula string
}

func sizingRows() []sizingRow {
	return []sizingRow{
		{"m: connections that a machine bears", func(z size) float64 { return z.m }, "assumed"},
		{"M: machines, so that two zones of three bear all", size.M, "⌈3/2·C/m⌉"},
		{"R: notifications a second", size.R, "C·n/60"},
		{"**A machine, when a zone is gone**", nil, ""},
		{"Roost's memory, MB", func(z size) float64 { return z.m * (z.Memory + z.extra) / 1e6 }, "m·(a+f)"},
		{"the kernel's for idle sockets, MB", func(z size) float64 { return z.m * z.Kernel / 1e6 }, "m·k"},
		{"CPU to hold its connections, cores", func(z size) float64 { return z.m * z.Idle / 1e6 }, "m·i"},
		{"CPU to deliver, cores", func(z size) float64 { return z.own() * z.deliver / 1e6 }, "m·n/60·t"},
		{"CPU of handshakes in a storm, cores", func(z size) float64 { return z.m / (60 * z.Storm) * z.shake / 1e6 }, "m/(60·w)·h"},
		{"handshakes a second in a storm", func(z size) float64 { return z.m / (60 * z.Storm) }, "m/(60·w)"},
		{"CPU to read what is for others, `pattern`, cores of the one that a feed can use: at most", func(z size) float64 { return (z.R() - z.own()) * z.read / 1e6 }, "(R−m·n/60)·u"},
		{"at least", func(z size) float64 { return (z.R() - z.own()) * z.Least / 1e6 }, "(R−m·n/60)·U"},
		{"network, both directions, Mbit/s", func(z size) float64 { return z.m * 8 / 1e6 * (z.Notify/60*(z.Bytes+136) + 206/z.Ping) }, "m·8·(n/60·(L+136) + 206/P)"},
		{"packets a second, both directions", func(z size) float64 { return z.m * (2*z.Notify/60 + 3/z.Ping) }, "m·(2·n/60 + 3/P)"},
		{"addresses of a load balancer that connects by itself", func(z size) float64 { return math.Ceil(z.m / z.Ports) }, "⌈m/28,232⌉"},
		{"**Redis, `pattern`**", nil, ""},
		{"messages sent a second", func(z size) float64 { return z.R() * z.M() }, "R·M"},
		{"sent, Mbit/s", func(z size) float64 { return z.R() * z.M() * z.message * 8 / 1e6 }, "R·M·b·8"},
		{"CPU, cores of the one that it can use", func(z size) float64 { return z.R() * (z.first + z.more*(z.M()-1)) / 1e6 }, "R·(p+q·(M−1))"},
		{"**Redis, `user`**", nil, ""},
		{"sent, Mbit/s", func(z size) float64 { return z.R() * z.message * 8 / 1e6 }, "R·b·8"},
		{"CPU, cores of the one that it can use", func(z size) float64 { return z.R() * z.user / 1e6 }, "R·r"},
		{"the same in a storm", func(z size) float64 { return (z.R()*z.user + z.W()*z.ask) / 1e6 }, "R·r + C/(60·w)·e"},
		{"memory for subscriptions, MB", func(z size) float64 { return z.C * z.keep / 1e6 }, "C·v"},
		{"**Redis Cluster, `sharded`**", nil, ""},
		{"S: shards, 3 at least", size.S, "⌈(R·s + C/(60·w)·g)/l⌉"},
		{"sent by a shard, Mbit/s", func(z size) float64 { return z.R() * z.message * 8 / 1e6 / z.S() }, "R·b·8/S"},
		{"memory for subscriptions of a shard, MB", func(z size) float64 { return z.C * z.keepSharded / 1e6 / z.S() }, "C·x/S"},
		{"connections to a shard", func(z size) float64 { return z.M() * (1 + z.Pool) }, "M·(1+c)"},
		{"connections of an instance to all shards", func(z size) float64 { return 1 + z.S()*(1+z.Pool) }, "1+S·(1+c)"},
	}
}
