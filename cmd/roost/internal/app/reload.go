package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"roost/cmd/roost/internal/config"
	"roost/hub"
	"roost/netpoll"
	"roost/wsproto/auth"
	"roost/wsproto/handshake"
)

// A reload reads the configuration again and applies what can change in a running process: keys, origins, limits, the log's
// level. It is all or nothing: every step that can fail comes before the first change.

// reloads is the state of reloads.
type reloads struct {
	asked    <-chan os.Signal // SIGHUP; nil: nothing is reloaded. Static once started, as the next two
	hungUp   func()           // stops the service: the terminal that it was started from is gone
	setLevel func(slog.Level) // of the log

	terminals Terminals // static

	warned []string // owned by the goroutine of watchReloads: the warnings so far

	more chan struct{} // room for one: the process before this one was asked to reload

	count      atomic.Uint64 // that were asked for; any goroutine, as the next
	ok, failed atomic.Uint64
	lastFailed atomic.Bool
}

// watchReloads reloads at each signal until ctx ends.
func (s *Service) watchReloads(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.reloads.asked:
		case <-s.reloads.more:
		}
		s.reloads.count.Add(1)
		h := s.handoff()
		switch {
		case h != nil:
			s.log.Info("SIGHUP: the new process reads the configuration again")
			h.tellReload()
		case s.stopping.Load():
			s.log.Warn("SIGHUP: nothing is reloaded, the service stops")
		case s.reloads.terminals.gone():
			s.log.Info("SIGHUP: the terminal is gone")
			s.reloads.hungUp()
		default:
			s.reload()
		}
	}
}

// again has the configuration read again, as a SIGHUP does. Any goroutine.
func (r *reloads) again() {
	select {
	case r.more <- struct{}{}:
	default: // it is about to be
	}
}

// reload reads the configuration and applies it, or logs all that is wrong with it and changes nothing.
func (s *Service) reload() {
	s.supervisor.Reloading()
	defer s.supervisor.Reloaded()
	wanted, err := s.readAgain()
	if err == nil {
		err = s.apply(wanted)
	}
	s.certificates.look() // whatever else is wrong: a certificate can't wait
	s.reloads.lastFailed.Store(err != nil)
	if err != nil {
		s.reloads.failed.Add(1)
		s.log.Error("the configuration is not reloaded, everything stays as it was", "problems", strings.Split(err.Error(), "\n"))
	}
}

// wanted is a configuration that was read again.
type wanted struct {
	source config.Source
	read   config.Config // what the file and the environment say
	next   config.Config // the part of it that can be applied
	own    auth.Keys     // the keys of next
}

// readAgain reads and checks the configuration. The error has a line for each thing that is wrong.
func (s *Service) readAgain() (w wanted, err error) {
	if w.source, err = config.Open(); err != nil {
		return w, err
	}
	w.read, err = w.source.Load()
	w.next = s.current.Load().cfg.Reloaded(w.read)
	if err == nil {
		err = w.next.Validate() // a value that is right at a start may contradict one that does not change
	}
	var wrongKeys error
	w.own, wrongKeys = ownKeys(w.next)
	return w, errors.Join(err, wrongKeys, checkLists(w.next))
}

// apply applies a configuration. On an error nothing has changed.
func (s *Service) apply(w wanted) error {
	s.keys.mu.Lock() // no keys are fetched into the old authenticator meanwhile
	defer s.keys.mu.Unlock()
	old := s.current.Load()
	made, err := s.newAuthenticators(w.next, joined(w.own, s.keys.fetched))
	if err != nil {
		return err
	}
	budget := old.budget
	if w.next.WSMaxConnections != old.cfg.WSMaxConnections {
		if budget, err = s.newBudget(w.next); err != nil {
			return err
		}
	}
	now := &settings{cfg: w.next, source: w.source, read: w.read, budget: budget, upgrader: made.upgrader}
	if err := s.ws.SetRules(now.rules()); err != nil {
		return err
	}
	// From here on nothing can fail.
	s.hub.SetLimits(now.limits())
	s.http.SetToken(w.next.HTTPToken)
	s.setWebhookSecrets(w.next)
	if budget != old.budget || MemoryBounds(w.next, s.loops) != MemoryBounds(old.cfg, s.loops) {
		limitMemory(w.next, budget, s.loops, s.log)
	}
	changed := changes(old.cfg, w.next, s.keys.own, w.own)
	s.keys.tokens, s.keys.own = made.tokens, w.own
	s.current.Store(now)
	if s.jwks != nil {
		s.jwks.FetchSoon()
	}
	s.tellReloaded(old.cfg, w, changed)
	s.reloads.ok.Add(1) // all of it is applied now, the log's level too
	return nil
}

// changes lists the differences.
func changes(old, next config.Config, oldKeys, keys auth.Keys) []string {
	all := make([]string, 0) // in the log an empty list, not null
	for _, c := range old.Changes(next) {
		all = append(all, c.String())
	}
	if old.JWTPublicKeyFile == next.JWTPublicKeyFile && !slices.EqualFunc(oldKeys.Public, keys.Public, auth.PublicKey.Equal) {
		all = append(all, "JWT_PUBLIC_KEY_FILE has other keys in it")
	}
	return all
}

// tellReloaded logs what has changed and what has not, and sets the log's level. The line is written if the old or the new
// level allows it.
func (s *Service) tellReloaded(old config.Config, w wanted, changed []string) {
	s.reloads.setLevel(min(old.LogLevel(), w.next.LogLevel()))
	defer s.reloads.setLevel(w.next.LogLevel())
	s.log.Info("configuration reloaded", "file", w.source.File(), "changed", changed)
	var waiting []string
	for _, c := range w.next.Changes(w.read) {
		waiting = append(waiting, c.Name)
	}
	if len(waiting) > 0 {
		s.log.Warn("variables that have changed need a restart, and stay as they were", "variables", waiting)
	}
	if w.source.File() == "" {
		s.log.Info("without a ROOST_CONFIG_FILE only keys and certificates are read again: the environment of a running process can't change")
	}
	if old.HTTPToken != "" {
		s.warnOfOpenAdmin(w.next)
	}
	warnings := w.source.Warnings(w.read, os.Environ())
	for _, warning := range warnings {
		if !slices.Contains(s.reloads.warned, warning) {
			s.log.Warn(warning)
		}
	}
	s.reloads.warned = warnings
}

// settings are what a reload replaces, all at once. Static after construction.
type settings struct {
	cfg      config.Config // Service.cfg with what was reloaded
	source   config.Source // what cfg was read from last
	read     config.Config // what source says: cfg, and what needs a restart
	budget   netpoll.Budget
	upgrader *handshake.Upgrader
}

// rules are netpoll's part.
func (s settings) rules() netpoll.Rules {
	return netpoll.Rules{
		Upgrader:        s.upgrader,
		MaxPerIP:        s.cfg.WSMaxConnectionsPerIP,
		HandshakeRate:   s.cfg.WSHandshakeRate,
		HandshakeBurst:  s.cfg.WSHandshakeBurst,
		MessageRate:     s.cfg.WSMessageRate,
		MessageBurst:    s.cfg.WSMessageBurst,
		QueueBytes:      s.cfg.WSQueueBytes,
		QueueMessages:   s.cfg.WSQueueMessages,
		QueueTotal:      s.cfg.WSMaxQueuedBytes,
		PendingTotal:    s.cfg.WSMaxPendingBytes,
		MaxSockets:      s.budget.Sockets,
		ConnectionLines: s.cfg.LoggerConnectionRate,
	}
}

// limits are the hub's part.
func (s settings) limits() hub.Limits {
	return hub.Limits{
		MaxConnections: s.budget.Connections, MaxNotification: s.cfg.WSMaxNotificationSize,
		MaxPerUser: s.cfg.WSMaxConnectionsPerUser, ReplaceOldest: s.cfg.WSUserLimit == "replace",
		MaxBroadcastBytes: s.cfg.WSMaxBroadcastBytes,
	}
}

// rejectMode is WS_REJECT_AFTER_UPGRADE for netpoll.
func rejectMode(value string) netpoll.RejectMode {
	switch value {
	case "true":
		return netpoll.RejectAlways
	case "false":
		return netpoll.RejectNever
	}
	return netpoll.RejectKnowing
}
