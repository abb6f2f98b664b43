package app

import (
	"context"
	"log/slog"
	"os"
	"time"
)

// An upgrade replaces the program while the port stays open. SIGUSR2 starts a new process with the same arguments and listening
// sockets. Once that serves, this one stops accepting and drains. If the new process fails, this one goes on.

// upgradeReminder is after how long the log says that the new process is not ready yet. It says so again after twice as long
// each time.
const upgradeReminder = 2 * time.Second

// upgrades is the state of upgrades.
type upgrades struct {
	asked <-chan os.Signal // SIGUSR2; nil: there are none. Static once started
	done  chan struct{}    // closed once a new process has taken over
}

// watchUpgrades starts an upgrade at each signal until ctx ends. While the service stops it only logs that there is no
// upgrade.
func (s *Service) watchUpgrades(ctx context.Context) {
	for again := false; ; {
		if !again {
			select {
			case <-ctx.Done():
				return
			case <-s.upgrades.asked:
			}
		}
		again = s.askedToUpgrade(ctx)
	}
}

// askedToUpgrade handles a SIGUSR2, and reports whether to try once more.
func (s *Service) askedToUpgrade(ctx context.Context) (again bool) {
	if reason := upgradeBlocked(); reason != "" {
		s.log.Error("SIGUSR2: no upgrade, since the end of this process would end the new one too; replace the container instead", "reason", reason)
		return false
	}
	if !s.isActive() {
		s.log.Info("SIGUSR2: the upgrade begins when this process is ready")
		if !s.awaitActive(ctx) {
			return false
		}
	}
	if s.stopping.Load() {
		s.log.Warn("SIGUSR2: no upgrade, the service stops")
		return false
	}
	done, again := s.upgrade()
	if done {
		s.stopping.Store(true)
		close(s.upgrades.done)
	}
	return again
}

// upgrade starts a new process and reports whether that has taken over, and if not, whether another SIGUSR2 came meanwhile.
func (s *Service) upgrade() (done, again bool) {
	s.log.Info("upgrading: a new process is started", "program", os.Args[0])
	begun := time.Now()
	result := make(chan error, 1)
	go func() { result <- s.spare.upgrade.Lend(s.sockets.handOver) }()
	wait := upgradeReminder
	reminder := time.NewTimer(wait)
	defer reminder.Stop()
	for {
		select {
		case err := <-result:
			if err == nil {
				s.log.Info("the new process is ready", "new_process", children(os.Getpid()), "took", time.Since(begun).Round(time.Millisecond).String())
				return true, false
			}
			s.log.Error("the upgrade failed, this process goes on", "error", err)
			return false, again
		case <-reminder.C:
			wait *= 2
			reminder.Reset(wait)
			s.log.Warn("upgrading: the new process is not ready yet", sinceUpgrade(begun))
		case <-s.upgrades.asked:
			again = true
			s.log.Warn("SIGUSR2: an upgrade is under way; if it fails the next one begins. To give it up now, kill the new process", sinceUpgrade(begun))
		}
	}
}

// sinceUpgrade describes an upgrade under way, for the log.
func sinceUpgrade(begun time.Time) slog.Attr {
	took := time.Since(begun)
	return slog.Group("", "new_process", children(os.Getpid()), "for", took.Round(time.Second).String(),
		"left", max(0, upgradeLimit-took).Round(time.Second).String())
}
