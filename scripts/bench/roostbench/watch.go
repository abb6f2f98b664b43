package main

import (
	"errors"
	"fmt"
	"time"

	"roost/bench/roostbench/internal/controller"
	"roost/bench/roostbench/internal/procfs"
	"roost/bench/roostbench/internal/swarm"
)

// watch looks at the workers and at all server processes.
type watch struct {
	env        *environment
	controller *controller.Controller
	servers    group
	quiet      bool
}

// sample adds up the server processes, with those that they have started. Figures of the whole machine are
// counted once.
func (w *watch) sample() (procfs.Sample, error) {
	var sum procfs.Sample
	for _, p := range w.servers {
		s, err := procfs.ReadTree(p.PID())
		if err != nil {
			return sum, err
		}
		sum = sum.Plus(s)
	}
	return sum, nil
}

// lookEvery is how often the workers are asked for their status.
const lookEvery = 200 * time.Millisecond

// errPatience is wrapped by what until says when nothing happens any more.
var errPatience = errors.New("no progress")

// until waits until ok says so, or for limit at most.
func (w *watch) until(limit time.Duration, ok func(swarm.Stats) bool) (controller.Sum, error) {
	for start := time.Now(); ; {
		now, err := w.controller.Send(controller.Status)
		if err != nil || ok(now.Stats) {
			return now, err
		}
		if time.Since(start) > limit {
			return now, fmt.Errorf("%w after %s: %+v", errPatience, limit, now.Stats)
		}
		w.progress(now.Stats)
		if err := w.env.pause(lookEvery); err != nil {
			return now, err
		}
	}
}

// pause waits, and says how things are meanwhile.
func (w *watch) pause(d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := w.env.pause(min(time.Until(end), 5*time.Second)); err != nil {
			return err
		}
		if w.quiet {
			continue
		}
		now, err := w.controller.Send(controller.Status)
		if err != nil {
			return err
		}
		w.progress(now.Stats)
	}
	return nil
}

func (w *watch) progress(now swarm.Stats) {
	if !w.quiet {
		_, _ = fmt.Fprintf(w.env.stderr, "open %d  waiting %d  failed %d  lost %d  received %d  pings %d\n",
			now.Open, now.Waiting, now.Failed, now.Lost, now.Received, now.Pings)
	}
}
