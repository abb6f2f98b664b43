package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// An upgrade replaces the program without a closed port. SIGUSR2 starts the program anew, with the same arguments and the
// same listening sockets. When the new process serves, it says so; then this one accepts no more, and lets its connections
// go as in a drain. If the new process fails, this one goes on.

// watchUpgrades hands over on SIGUSR2, until ctx ends. The channel is closed once a new process has taken over.
func (s *service) watchUpgrades(ctx context.Context) <-chan struct{} {
	done := make(chan struct{})
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR2)
	s.parts.Go(func() {
		defer signal.Stop(asked)
		for {
			select {
			case <-ctx.Done():
				return
			case <-asked:
			}
			if s.upgrade() {
				close(done)
				return
			}
		}
	})
	return done
}

func (s *service) upgrade() (done bool) {
	s.log.Info("upgrading: a new process is started", "program", os.Args[0])
	begun := time.Now()
	if err := s.spare.upgrade.Lend(s.sockets.handOver); err != nil {
		s.log.Error("the upgrade failed, this process goes on", "error", err)
		return false
	}
	s.log.Info("the new process is ready", "took", time.Since(begun).Round(time.Millisecond).String())
	return true
}

// errNoFeed fails an upgrade: the new process would serve clients who get nothing.
var errNoFeed = errors.New("no link to Redis in time to take over")

// waitForFeed waits until the feed is connected, where that matters: as long as the old process serves, nobody has to be
// served without notifications.
func (s *service) waitForFeed(ctx context.Context) error {
	if !s.sockets.takingOver() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, upgradeLimit/2)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !s.feed.Status().Connected {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errNoFeed
		}
	}
	return nil
}
