package main

import (
	"fmt"
	"sync"
	"time"

	"roost/bench/roostbench/internal/swarm"
)

// progressEvery is how often the progress line is written.
const progressEvery = time.Second

// progressLine says on stderr how far a run is.
type progressLine struct {
	end  chan struct{}
	done sync.WaitGroup
}

func startProgress(env *environment, quiet bool, s *swarm.Swarm) *progressLine {
	p := &progressLine{end: make(chan struct{})}
	if quiet {
		return p
	}
	start := time.Now()
	p.done.Go(func() {
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for {
			select {
			case <-p.end:
				_, _ = fmt.Fprintln(env.stderr)
				return
			case <-ticker.C:
				now := s.Stats()
				_, _ = fmt.Fprintf(env.stderr, "\r%4.0fs  open %d  waiting %d  failed %d  lost %d  received %d  pings %d ",
					time.Since(start).Seconds(), now.Open, now.Waiting, now.Failed, now.Lost, now.Received, now.Pings)
			}
		}
	})
	return p
}

// stop ends the line. It may be called once.
func (p *progressLine) stop() {
	close(p.end)
	p.done.Wait()
}
