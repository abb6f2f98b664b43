package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"roost/bench/roostbench/internal/child"
	"roost/bench/roostbench/internal/controller"
	"roost/bench/roostbench/internal/procfs"
)

// storm is clients of users who get nothing, which connect all at once, from a process of their own. Its priority is lower
// than ours: in reality those who connect compute on other machines, and here they may not take the processor from those
// whose latency is measured.
type storm struct {
	clients    int
	process    *child.Process // nil: no storm
	controller *controller.Controller
	dir        string // of its log
	idle       time.Duration
	last       controller.Sum // what it said last
}

// stormNice is by how much its priority is lower.
const stormNice = 10

// stormLook is how often it is asked whether all are connected.
const stormLook = 20 * time.Millisecond

var errStorm = errors.New("the storm failed")

// startStorm starts the process, which waits for run. Without --storm there is none.
func (c *deliverCmd) startStorm(m *measurement) (*storm, error) {
	s := &storm{clients: c.Storm}
	if c.Storm == 0 {
		return s, nil
	}
	bench, err := os.Executable()
	if err != nil {
		return s, fmt.Errorf("where this program is: %w", err)
	}
	if s.dir, err = os.MkdirTemp("", "roostbench-"); err != nil {
		return s, err
	}
	args := []string{"-n", strconv.Itoa(stormNice), bench, "worker", "--url=" + c.URL, fmt.Sprintf("--pid=%d", c.PID),
		fmt.Sprintf("--connections=%d", c.Storm), fmt.Sprintf("--in-flight=%d", c.Storm), fmt.Sprintf("--first-user=%d", c.FirstUser+c.Connections),
		fmt.Sprintf("--first-source=%d", c.FirstSource+c.Sources), fmt.Sprintf("--sources=%d", c.Sources), "--dialect=" + c.Dialect,
		fmt.Sprintf("--resume=%t", c.Resume)}
	p, commands, responses, err := child.Talk(s.log(), []string{"JWT_SECRET_KEY=" + c.Secret}, "nice", args...)
	if err != nil {
		s.stop()
		return s, err
	}
	s.process, s.controller = p, controller.New([]controller.Pipes{{Commands: commands, Responses: responses}})
	if err := s.tell(controller.Status); err != nil { // it is ready
		s.stop()
		return s, err
	}
	s.idle, err = s.used()
	return s, err
}

func (s *storm) log() string { return filepath.Join(s.dir, "storm.log") }

// tell sends a command, and keeps the response.
func (s *storm) tell(command controller.Command) error {
	var err error
	if s.last, err = s.controller.Send(command); err != nil {
		said, _ := os.ReadFile(s.log())
		return fmt.Errorf("%w: %w: %.500s", errStorm, err, said)
	}
	return nil
}

// run opens all connections and returns when they are open or one has failed.
func (s *storm) run(ctx context.Context) error {
	if err := s.tell(controller.Open); err != nil {
		return err
	}
	for {
		if err := s.tell(controller.Status); err != nil {
			return err
		}
		switch now := s.last.Stats; {
		case now.Opened == s.clients:
			return nil
		case now.Failed > 0:
			return fmt.Errorf("%w: %d of %d connections are open: %s", errStorm, now.Open, s.clients, s.last.Failures())
		}
		select {
		case <-time.After(stormLook):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// used is the processor time that it has taken so far.
func (s *storm) used() (time.Duration, error) {
	now, err := procfs.Read(s.process.PID())
	return now.User + now.System, err
}

// cpu is the processor time that the storm has taken.
func (s *storm) cpu() time.Duration {
	if s.process == nil {
		return 0
	}
	used, err := s.used()
	if err != nil {
		return 0
	}
	return used - s.idle
}

// stop ends the process, and with it its connections.
func (s *storm) stop() {
	if s.process != nil {
		s.process.Stop()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}
