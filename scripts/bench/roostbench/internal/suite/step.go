package suite

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Step is one measurement, made of each server that takes part in it.
type Step struct {
	ID     string // short; file names and the page's program have it
	Title  string
	Args   []string      // of roostbench
	Env    []string      // of the server, beyond the usual
	Rounds int           // how often
	Lasts  time.Duration // about, for one server once, with starting it
	Redis  bool          // it publishes
	Own    bool          // it starts its servers itself
	Needs  string        // a variable that has to be set for a server to take part; "": none
}

// The basis of estimates: rather too long than too short.
const (
	startAndStop = 1200 * time.Millisecond // of a server and of roostbench
	openRate     = 6_000                   // handshakes a second of the slowest server
)

// opening is how long n connections take to open.
func opening(n int) time.Duration { return time.Duration(n) * time.Second / openRate }

// times says how often a step is made.
func (s Step) times(rounds int) Step { s.Rounds = rounds; return s }

// with adds variables of the server.
func (s Step) with(env ...string) Step { s.Env = append(s.Env, env...); return s }

// looks is what an idle step looks at.
type looks struct {
	sizes            []int
	hold, holdOthers time.Duration // at the first size that has connections and the last; at the others
	empty            time.Duration // at 0
	burst            int           // notifications for each connection at the end
	cooldown         time.Duration // after them
	more             []string      // flags
}

// burstRate is how many notifications of the burst arrive a second, at least.
const burstRate = 20_000

func idle(id, title string, l looks) Step {
	var sizes []string
	for _, n := range l.sizes {
		sizes = append(sizes, strconv.Itoa(n))
	}
	last := l.sizes[len(l.sizes)-1]
	lasts := startAndStop + opening(last) + 2*l.hold
	between := len(l.sizes) - 2
	if l.sizes[0] == 0 {
		lasts += l.empty
		between--
	}
	lasts += time.Duration(between) * l.holdOthers
	args := []string{"idle", "--sizes=" + strings.Join(sizes, ","), "--hold=" + l.hold.String(), "--hold-others=" + l.holdOthers.String(),
		"--empty=" + l.empty.String()}
	if l.burst > 0 {
		args = append(args, fmt.Sprintf("--burst=%d", l.burst), "--cooldown="+l.cooldown.String())
		lasts += l.cooldown + time.Duration(last*l.burst)*time.Second/burstRate
	}
	return Step{ID: id, Title: title, Args: append(args, l.more...), Rounds: 1, Lasts: lasts, Redis: l.burst > 0}
}

// connections is what a connect step opens.
type connections struct {
	base, count, inFlight, rounds int
	rest                          time.Duration // before and after, with the base only
}

// churnPause is how long connect waits after each round.
const churnPause = time.Second

func connect(id, title string, c connections) Step {
	round := opening(c.count) + churnPause
	args := []string{"connect", fmt.Sprintf("--base=%d", c.base), fmt.Sprintf("--connections=%d", c.count),
		fmt.Sprintf("--in-flight=%d", c.inFlight), fmt.Sprintf("--rounds=%d", c.rounds), "--cooldown=" + churnPause.String()}
	if c.rest > 0 {
		args = append(args, "--rest="+c.rest.String())
		round += opening(c.count) // leaving
	}
	return Step{ID: id, Title: title, Args: args, Rounds: 1,
		Lasts: startAndStop + opening(c.base) + time.Duration(c.rounds)*round + 2*c.rest}
}

// deliveries is what a deliver step publishes.
type deliveries struct {
	connections, rate int
	length            time.Duration
	more              []string // flags
}

// warmup is what a deliver step publishes before it measures.
const warmup = 1500 * time.Millisecond

func deliver(id, title string, d deliveries) Step {
	args := []string{"deliver", fmt.Sprintf("--connections=%d", d.connections), fmt.Sprintf("--notify-rate=%d", d.rate),
		"--warmup=" + warmup.String(), "--duration=" + d.length.String()}
	return Step{ID: id, Title: title, Args: append(args, d.more...), Rounds: 1, Redis: true,
		Lasts: startAndStop + opening(d.connections) + warmup + d.length + 200*time.Millisecond}
}

func burst(id, title, only string, lasts time.Duration) Step {
	return Step{ID: id, Title: title, Args: []string{"burst", "--only=" + only}, Rounds: 1, Lasts: lasts, Own: true}
}

// scaleLoad is what a scale step holds.
type scaleLoad struct {
	connections, processes int
	hold                   time.Duration
	rate                   int // of notifications a second
}

func scale(id, title string, p scaleLoad) Step {
	args := []string{"scale", fmt.Sprintf("--connections=%d", p.connections), fmt.Sprintf("--processes=%d", p.processes),
		"--hold=" + p.hold.String(), fmt.Sprintf("--notify-rate=%d", p.rate)}
	return Step{ID: id, Title: title, Args: args, Rounds: 1, Redis: true, Own: true,
		Lasts: 10*time.Second + opening(p.connections) + p.hold + time.Duration(p.connections)*time.Second/time.Duration(p.rate)}
}
