package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/handover"
	"roost/cmd/roost/internal/version"
	"roost/httpapi"
)

// An upgrade replaces the program while the port stays open. SIGUSR2 starts a new process with the same arguments and listening
// sockets. It takes over the open connections too (handoff.go), or, once it serves, this one stops accepting and drains. If the new
// process fails, this one goes on.

// upgradeReminder is after how long the log says that the new process is not ready yet. It says so again after twice as long
// each time.
const upgradeReminder = 2 * time.Second

// upgrades is the state of upgrades.
type upgrades struct {
	asked <-chan os.Signal // SIGUSR2; nil: there are none. Static once started
	done  chan struct{}    // closed once a new process has taken over

	failed, refused atomic.Uint64 // any goroutine

	mu   sync.Mutex
	now  *handoff              // guarded by mu: under way, or done; nil: none
	last *httpapi.UpgradeError // guarded by mu
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
	go func() { result <- s.spare.upgrade.ReleasedDuring(s.startNew) }()
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
			if errors.Is(err, errNewEnded) {
				s.failed <- err
				return false, false
			}
			s.upgradeFailed(err)
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

// upgradeFailed counts and logs an upgrade that did not come about.
func (s *Service) upgradeFailed(err error) {
	if errors.Is(err, handover.ErrRefused) {
		s.upgrades.refused.Add(1)
	} else {
		s.upgrades.failed.Add(1)
	}
	s.upgrades.mu.Lock()
	s.upgrades.last = &httpapi.UpgradeError{At: time.Now(), Reason: err.Error()}
	s.upgrades.mu.Unlock()
	s.log.Error("the upgrade failed, this process goes on", "error", err)
}

// handoff is the handover after which this process is out; nil: there was none.
func (s *Service) handoff() *handoff {
	s.upgrades.mu.Lock()
	defer s.upgrades.mu.Unlock()
	if h := s.upgrades.now; h != nil && h.out.Load() {
		return h
	}
	return nil
}

// upgradeResults is roost_upgrades_total: how this process has taken over, and what became of upgrades of it.
func (s *Service) upgradeResults() map[string]uint64 {
	results := map[string]uint64{"handover": 0, "drain": 0, "failed": s.upgrades.failed.Load(), "refused": s.upgrades.refused.Load()}
	if s.isActive() && s.sockets.takingOver() {
		results[s.began()]++
	}
	return results
}

// began says how this process came to serve: start, handover or drain.
func (s *Service) began() string {
	switch {
	case !s.sockets.takingOver():
		return "start"
	case s.took.from != nil:
		return "handover"
	}
	return "drain"
}

// upgradeState is what /upgrade answers.
func (s *Service) upgradeState() httpapi.Upgrade {
	u := httpapi.Upgrade{
		Pid: os.Getpid(), Version: version.Text(), Blocked: upgradeBlocked(), Began: s.began(), Before: s.took.pid,
		Connections: s.took.taken.Connections, TookMS: s.took.took.Load() / int64(time.Millisecond), PausedMS: s.took.paused.Load() / int64(time.Millisecond),
		Open: s.hub.Connections(), Attempts: s.upgrades.failed.Load() + s.upgrades.refused.Load(),
	}
	u.StartTicks, _ = StartTicks(u.Pid) // 0 is nobody's
	if program, err := exec.LookPath(os.Args[0]); err == nil {
		u.Program, _ = filepath.Abs(program)
	}
	u.Drains = s.cannotHandOver()
	u.Agree = settingsShown(Facts(s.cfg))
	s.upgrades.mu.Lock()
	defer s.upgrades.mu.Unlock()
	u.Last = s.upgrades.last
	switch {
	case s.stopping.Load():
		u.Busy = "the service stops"
	case s.upgrades.now != nil:
		u.Busy = "an upgrade is under way"
	case s.isActive() && s.sockets.upgrader != nil && s.took.from == nil && s.sockets.oldProcessRuns(s.oldProcessLimit()):
		u.Busy = errOldProcess.Error()
	}
	return u
}

// Agreement is what a program would say of its settings, were it started by an upgrade.
type Agreement struct {
	Mode string          `json:"mode"` // WS_UPGRADE
	Must []handover.Fact `json:"must"`
	Most int             `json:"most"` // WS_MAX_CONNECTIONS; 0: it does not say
}

// NewAgreement is that of a program with this configuration. Secrets have no value in it.
func NewAgreement(cfg config.Config) Agreement {
	return Agreement{cfg.WSUpgrade, withoutSecrets(Facts(cfg)), cfg.WSMaxConnections}
}

// withoutSecrets takes the values of secrets out of facts. Whether they differ shows at the upgrade.
func withoutSecrets(facts []handover.Fact) []handover.Fact {
	for i := range facts {
		if facts[i].Secret {
			facts[i].Value = ""
		}
	}
	return facts
}

// settingsShown are facts as /upgrade shows them to whoever asks: without those that are secret.
func settingsShown(facts []handover.Fact) (shown []httpapi.UpgradeSetting) {
	for _, fact := range facts {
		if !fact.Secret {
			shown = append(shown, httpapi.UpgradeSetting{Name: fact.Name, Value: fact.Value})
		}
	}
	return shown
}

// Outlook says what becomes of the connections when a server in this state starts the program whose agreement this is. drains is why
// they are closed, "" if they are handed over; err is why the upgrade is refused. Descriptors, memory and secrets show at the upgrade.
func (a Agreement) Outlook(server httpapi.Upgrade) (drains string, err error) {
	var must []handover.Fact
	for _, setting := range server.Agree {
		if slices.ContainsFunc(a.Must, func(f handover.Fact) bool { return f.Secret && f.Name == setting.Name }) {
			continue // secret in the program, and not in a server of another release
		}
		must = append(must, handover.Fact{Name: setting.Name, Value: setting.Value})
	}
	return outcome(handover.Hello{Formats: handover.Formats(), Mode: a.Mode, Must: a.Must}, server.Drains, handover.Need{Must: must})
}

// TooMany is how many connections of a server with this state have no room in the program, which closes them.
func (a Agreement) TooMany(server httpapi.Upgrade) int {
	if a.Most == 0 {
		return 0
	}
	return max(0, server.Open-a.Most)
}

// sinceUpgrade describes an upgrade under way, for the log.
func sinceUpgrade(begun time.Time) slog.Attr {
	took := time.Since(begun)
	return slog.Group("", "new_process", children(os.Getpid()), "for", took.Round(time.Second).String(),
		"left", max(0, upgradeLimit-took).Round(time.Second).String())
}
