package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// successorEvery is how often the process that was replaced looks whether the new one is there.
	successorEvery = 200 * time.Millisecond
	// successorGrace is how long somebody who stops both has for telling this one, after the new one has ended.
	successorGrace = 2 * time.Second
)

// errSuccessorEnded ends what is left of a process that was replaced.
var errSuccessorEnded = errors.New("the new process has ended, and nobody serves those who connect")

// watchSuccessor is for the process that was replaced, while it lets its connections go. When the new process dies
// meanwhile a supervisor does not see it: it is the child of this one. So this one has to end, for the service to be
// started anew. It goes on until ctx ends, which is when this process is asked to stop: who stops the service asks both,
// and then this one has its time.
func (s *service) watchSuccessor(ctx context.Context) {
	ticker := time.NewTicker(successorEvery)
	defer ticker.Stop()
	var missed time.Time // since when it is not there
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			switch {
			case hasChildren():
			case missed.IsZero():
				missed = now
			case now.Sub(missed) >= successorGrace:
				s.failed <- errSuccessorEnded
				return
			}
		}
	}
}

// hasChildren reports whether a process that this one has started is there. Roost starts none but its successor.
func hasChildren() bool {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return !errors.Is(err, unix.ECHILD)
}
