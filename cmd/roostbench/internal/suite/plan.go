package suite

import "slices"

// Step is one measurement, made of every server.
type Step struct {
	Name   string
	Args   []string // of roostbench
	Env    []string // of the server, besides the usual
	Rounds int      // at most so many; 0: as many as there are
	Redis  bool     // it publishes
	Short  bool     // it is a part of the short run, with ShortArgs and ShortEnv instead
	// What differs in the short run; nil: nothing.
	ShortArgs, ShortEnv []string
}

// quickPings makes pings go round in a short time. Idle CPU is then not that of
// the usual 30 s.
func quickPings() []string { return []string{"WS_PING_INTERVAL=5s", "WS_PONG_WAIT=20s"} }

func deliver(name string, short bool, args ...string) Step {
	return Step{Name: name, Args: append([]string{"deliver"}, args...), Redis: true, Short: short}
}

// Steps are all that there are, in their order.
func Steps() []Step {
	return []Step{
		{Name: "idle", Args: []string{"idle", "--hold=35s"}, Rounds: 2, Short: true,
			ShortArgs: []string{"idle", "--hold=6s"}, ShortEnv: quickPings()},
		{Name: "idle, 8 connections a user", Args: []string{"idle", "--hold=6s", "--per-user=8"}, Env: quickPings(), Rounds: 1},
		{Name: "connect", Args: []string{"connect"}, Short: true},
		{Name: "connect, a storm of 18,000", Args: []string{"connect", "--connections=18000", "--in-flight=18000"}, Rounds: 1},
		{Name: "connect and leave, 6 times 17,000", Args: []string{"connect", "--rounds=6"}, Rounds: 1},
		deliver("deliver, 1,000 a second", false, "--connections=10000", "--notify-rate=1000", "--duration=5s"),
		deliver("deliver, 5,000 a second", true, "--connections=10000", "--notify-rate=5000", "--duration=5s"),
		deliver("deliver, 10,000 a second", true, "--notify-rate=10000", "--duration=8s"),
		deliver("deliver, 40,000 a second, pipelined", true, "--notify-rate=40000", "--pipeline=1ms", "--duration=5s"),
		deliver("deliver, 80,000 a second asked, pipelined", true, "--notify-rate=80000", "--pipeline=1ms", "--window=20000", "--duration=5s"),
		deliver("deliver to one user with 1,000 connections", false, "--users=one", "--connections=1000", "--notify-rate=20", "--duration=5s"),
		deliver("deliver, 90% absent, 20,000 a second", false, "--users=absent", "--notify-rate=20000", "--pipeline=1ms", "--duration=5s"),
		deliver("deliver bursts of 50, 10,000 a second", false, "--users=bursts", "--notify-rate=10000", "--duration=5s"),
		deliver("deliver, 5,000 a second, while 13,000 connect at once", false, "--notify-rate=5000", "--storm=13000", "--duration=5s"),
		deliver("deliver beside one that does not read", false, "--users=stalled", "--connections=1000", "--notify-rate=5000", "--duration=5s"),
	}
}

// Plan is the steps of a run, in rounds.
func Plan(steps []Step, only []string, short bool) []Step {
	var plan []Step
	for _, s := range steps {
		if len(only) > 0 && !slices.Contains(only, s.Name) || len(only) == 0 && short && !s.Short {
			continue
		}
		if short && s.ShortArgs != nil {
			s.Args, s.Env = s.ShortArgs, s.ShortEnv
		}
		plan = append(plan, s)
	}
	return plan
}

// in says whether the step is made in a round, from 0.
func (s Step) in(round int) bool { return s.Rounds == 0 || round < s.Rounds }
