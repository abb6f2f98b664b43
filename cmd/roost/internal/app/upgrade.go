package app

import (
	"context"
	"log/slog"
	"os"
	"time"
)

// An upgrade replaces the program without a closed port. SIGUSR2 starts the program anew, with the same arguments and the
// same listening sockets. When the new process serves, it says so; then this one accepts no more, and lets its connections
// go as in a drain. If the new process fails, this one goes on.

// upgradeReminder is how long an upgrade takes before the log says that the new process is not ready yet. It says so
// again each time that twice as long has passed.
const upgradeReminder = 2 * time.Second

// upgrades is what a service needs for upgrades.
type upgrades struct {
	asked <-chan os.Signal // SIGUSR2; nil: there are none. Static once started
	done  chan struct{}    // closed once a new process has taken over
}

// watchUpgrades hands over at each signal until ctx ends. It goes on when the service stops, to say that it does.
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

// askedToUpgrade is called for a SIGUSR2, and reports whether to try once more.
func (s *Service) askedToUpgrade(ctx context.Context) (again bool) {
	if reason := endsWithUs(); reason != "" {
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

// upgrade starts the program anew and reports whether the new process has taken over; if not, whether another upgrade was
// asked for meanwhile.
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
				s.log.Info("the new process is ready", "took", time.Since(begun).Round(time.Millisecond).String())
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

// sinceUpgrade is how an upgrade that has not ended stands, for the log.
func sinceUpgrade(begun time.Time) slog.Attr {
	took := time.Since(begun)
	return slog.Group("", "new_process", children(os.Getpid()), "for", took.Round(time.Second).String(),
		"left", max(0, upgradeLimit-took).Round(time.Second).String())
}
