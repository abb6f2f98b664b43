package suite

import "time"

// Mode says how much is measured.
type Mode int

// The modes.
const (
	Normal  Mode = iota
	Short        // the steps that matter most, and shorter
	Full         // Normal, and 100,000 and 200,000 connections
	TLS          // the steps for servers with TLS
	Resume       // the steps for servers whose clients can resume, and for those without
	Upgrade      // replacing the program while clients are connected
)

// MaxRounds is how often a step may be made.
const MaxRounds = 20

// gcTrace makes a Go server say on its standard error what each collection cost.
const gcTrace = "GODEBUG=gctrace=1"

// quickPings makes pings go round in a short time. Idle CPU is then not that of
// the usual 30 s.
func quickPings() []string { return []string{"WS_PING_INTERVAL=5s", "WS_PONG_WAIT=20s"} }

// saturating asks for more than any server here delivers, and holds the
// publisher back as soon as deliveries fall behind.
func saturating() []string { return []string{"--pipeline=1ms", "--window=20000"} }

// Steps are all steps of a mode, in their order.
func Steps(mode Mode) []Step {
	switch mode {
	case Short:
		return shortSteps()
	case Full:
		return append(normalSteps(), scaleSteps()...)
	case TLS:
		return tlsSteps()
	case Resume:
		return resumeSteps()
	case Upgrade:
		return upgradeSteps()
	}
	return normalSteps()
}

func normalSteps() []Step {
	return concat(idling(), connecting(), rates(), shapes(), bursts(), closeLooks())
}

func idling() []Step {
	return []Step{
		idle("idle", "idle connections, each its own user", looks{
			sizes: []int{0, 2000, 7000, 12_000, 18_000}, hold: 35 * time.Second, holdOthers: 22 * time.Second,
			empty: 8 * time.Second, burst: 10, cooldown: 22 * time.Second}).with(gcTrace),
		idle("idle-8", "idle connections, 8 for each user", looks{
			sizes: []int{2000, 18_000}, hold: 22 * time.Second, more: []string{"--per-user=8"}}).with(quickPings()...),
	}
}

func connecting() []Step {
	return []Step{
		connect("connect", "17,000 connect, 256 at once", connections{base: 1000, count: 17_000, inFlight: 256, rounds: 1}).times(3),
		connect("storm", "18,000 connect at once", connections{count: 18_000, inFlight: 18_000, rounds: 1}).times(2),
		connect("churn", "102,000 connect and leave, 17,000 at a time", connections{
			base: 2000, count: 17_000, inFlight: 256, rounds: 6, rest: 22 * time.Second}),
	}
}

func rates() []Step {
	const long = 5 * time.Second
	return []Step{
		// Five rounds: its latencies are compared in pairs.
		deliver("deliver-10k", "10,000 a second to 5,000 connections", deliveries{5000, 10_000, long, nil}).times(5),
		deliver("deliver-max", "80,000 a second asked, pipelined, to 5,000 connections", deliveries{5000, 80_000, long, saturating()}).times(3),
		deliver("deliver-1k", "1,000 a second to 10,000 connections", deliveries{10_000, 1000, 4 * time.Second, nil}).times(2),
		deliver("deliver-5k", "5,000 a second to 10,000 connections", deliveries{10_000, 5000, 4 * time.Second, nil}).times(2),
		deliver("deliver-20k", "20,000 a second to 10,000 connections", deliveries{10_000, 20_000, 4 * time.Second, nil}).times(2),
		deliver("deliver-40k", "40,000 a second, pipelined, to 5,000 connections", deliveries{5000, 40_000, long, []string{"--pipeline=1ms"}}).times(2),
		deliver("deliver-few", "10,000 a second to 1,000 connections", deliveries{1000, 10_000, 4 * time.Second, nil}),
		deliver("deliver-many", "10,000 a second to 18,000 connections", deliveries{18_000, 10_000, 4 * time.Second, nil}),
	}
}

func shapes() []Step {
	const long = 4 * time.Second
	return []Step{
		deliver("deliver-one", "20 a second to one user with 1,000 connections", deliveries{1000, 20, long, []string{"--users=one"}}),
		deliver("deliver-absent", "20,000 a second, pipelined, 90% for users who are not here", deliveries{
			5000, 20_000, long, []string{"--users=absent", "--pipeline=1ms"}}),
		deliver("deliver-bursts", "10,000 a second to 5,000 connections, 50 to a user at a time", deliveries{
			5000, 10_000, long, []string{"--users=bursts"}}),
		deliver("deliver-stalled", "5,000 a second to 1,000 connections, a fifth for one that does not read", deliveries{
			1000, 5000, long, []string{"--users=stalled"}}),
		deliver("deliver-storm", "5,000 a second to 1,000 connections while 18,000 connect at once", deliveries{
			1000, 5000, 20 * time.Second, []string{"--storm=18000"}}).lasting(6 * time.Second).times(2),
	}
}

// bursts start their servers themselves: they need a Redis of their own, and a network namespace.
func bursts() []Step {
	return []Step{
		burst("burst", "bursts to clients that read at every speed, and to some that read nothing", "bursts,readers", 90*time.Second),
		burst("burst-far", "bursts and steady traffic to far clients", "far", 50*time.Second),
	}
}

// closeLooks count what would distort the CPU time of the other steps.
func closeLooks() []Step {
	return []Step{
		deliver("calls-10k", "system calls and collections at 10,000 a second", deliveries{
			5000, 10_000, 3 * time.Second, []string{"--count-calls"}}).with(gcTrace),
		deliver("calls-max", "system calls and collections at saturation", deliveries{
			5000, 80_000, 3 * time.Second, append(saturating(), "--count-calls")}).with(gcTrace),
	}
}

// twoProxies is for HAProxy in front, which has a process for each 9,800 clients.
const twoProxies = "FRONT_PROXIES=2"

// tlsSteps are for servers with TLS, with Roost without it beside them. A proxy has two descriptors for a client, and
// a process here 20,000: hence two of HAProxy where one has no room.
func tlsSteps() []Step {
	const long = 5 * time.Second
	slow := func(s Step, n int) Step { s.Lasts += time.Duration(n) * 2 * time.Millisecond; return s } // handshakes
	return []Step{
		slow(idle("tls-idle-15k", "idle connections, 2,000 and 15,000, then 1 KB from each and to each", looks{
			sizes: []int{2000, 15_000}, hold: 35 * time.Second, burst: 1, cooldown: 35 * time.Second, more: []string{"--talk=1024"}}), 15_000).with(twoProxies),
		slow(idle("tls-talk", "2,000 and 15,000 connections, each of which has just sent and received 1 KB", looks{
			sizes: []int{2000, 15_000}, hold: 35 * time.Second, burst: 1, more: []string{"--talk=1024", "--burst-each"}}), 15_000).times(2),
		slow(connect("tls-connect", "6,000 full handshakes, 256 at once", connections{base: 500, count: 6000, inFlight: 256, rounds: 1}), 6500).times(3),
		slow(connect("tls-resume", "6,000 resumed handshakes, 256 at once", connections{base: 500, count: 6000, inFlight: 256, rounds: 1}), 6500).
			also("--resume").times(3),
		slow(deliver("tls-deliver-10k", "10,000 a second to 5,000 connections", deliveries{5000, 10_000, long, nil}), 5000).times(3),
		slow(deliver("tls-storm", "2,000 a second to 1,000 connections while 5,000 connect at once", deliveries{
			1000, 2000, 30 * time.Second, []string{"--storm=5000"}}).lasting(10*time.Second), 6000).times(3),
		slow(connect("tls-churn", "50,000 connect and leave, 10,000 at a time", connections{
			base: 2000, count: 10_000, inFlight: 256, rounds: 5, rest: 35 * time.Second}), 52_000),
		slow(scale("tls-scale", "100,000 connections over TLS to six processes", scaleLoad{100_000, 6, time.Minute, 2500}), 100_000).
			also("--in-flight=64", "--open-limit=6m").with(twoProxies),
	}
}

// resumeSteps are for Roost with and without WS_RESUME_WINDOW.
func resumeSteps() []Step {
	const long = 5 * time.Second
	back := []string{"back", "--connections=15000", "--missed=3"}
	return []Step{
		idle("resume-idle", "idle connections, each its own user", looks{sizes: []int{2000, 15_000}, hold: 35 * time.Second}),
		deliver("resume-10k", "10,000 a second to 5,000 connections", deliveries{5000, 10_000, long, nil}).times(5),
		deliver("resume-absent", "20,000 a second in pipelines, nine tenths for absent users", deliveries{
			5000, 20_000, long, []string{"--users=absent", "--pipeline=1ms"}}).times(5),
		Step{ID: "resume-back", Title: "15,000 clients come back, and each has missed three", Args: back, Rounds: 3, Redis: true, Needs: "WS_RESUME_WINDOW",
			Lasts: startAndStop + 2*opening(15_000) + 8*time.Second},
	}
}

// upgradeSteps are for servers that say with WS_UPGRADE what an upgrade does.
func upgradeSteps() []Step {
	return []Step{{ID: "upgrade", Title: "the program is replaced, under 2,000 notifications a second", Args: []string{"upgrade", "--connections=1000,5000,15000"},
		Rounds: 5, Own: true, Needs: "WS_UPGRADE", Lasts: 50 * time.Second}}
}

// also adds flags.
func (s Step) also(flags ...string) Step {
	s.Args = append(s.Args[:len(s.Args):len(s.Args)], flags...)
	return s
}

func scaleSteps() []Step {
	return []Step{
		scale("scale-100k", "100,000 connections to six processes", scaleLoad{100_000, 6, 2 * time.Minute, 5000}),
		scale("scale-200k", "200,000 connections to twelve processes", scaleLoad{200_000, 12, 2 * time.Minute, 5000}),
	}
}

func shortSteps() []Step {
	return []Step{
		// Another name: neither its memory nor its CPU is what the targets speak of.
		idle("idle-quick", "idle connections, each its own user, held for 7 s, pings every 5 s", looks{
			sizes: []int{0, 2000, 10_000, 18_000}, hold: 7 * time.Second, holdOthers: 3 * time.Second,
			empty: 3 * time.Second, burst: 3, cooldown: 5 * time.Second}).with(append(quickPings(), gcTrace)...),
		connect("connect", "17,000 connect, 256 at once", connections{base: 1000, count: 17_000, inFlight: 256, rounds: 1}),
		deliver("deliver-10k", "10,000 a second to 5,000 connections", deliveries{5000, 10_000, 3 * time.Second, nil}).times(3),
		deliver("deliver-max", "80,000 a second asked, pipelined, to 5,000 connections", deliveries{5000, 80_000, 3 * time.Second, saturating()}).times(2),
	}
}

// lasting corrects an estimate: the storm ends before its time does.
func (s Step) lasting(d time.Duration) Step { s.Lasts = d; return s }

func concat(parts ...[]Step) []Step {
	var all []Step
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}
