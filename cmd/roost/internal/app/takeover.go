package app

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"roost/cmd/roost/internal/cgroup"
	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/gcpace"
	"roost/cmd/roost/internal/handover"
	"roost/cmd/roost/internal/version"
	"roost/netpoll"
)

// A new process takes over the connections of the old one before any of its parts runs: it opens no subscription, and touches no
// descriptor that it is given, until the old one has committed.

// importer is a part of the service that takes over state. Import owns the descriptors from then on, also on an error, and uses the
// section only until it returns.
type importer interface {
	Import(section []byte, fds []int) error
	FinishImport() error // everything has come, and is good
	DiscardImport()      // closes what came, without a word to anybody
}

// importers are the parts by the kind of their sections.
type importers map[string]importer

// receive takes all sections. After an error everything has to be discarded.
func (t importers) receive(from *handover.New) error {
	finished := make(map[string]bool)
	err := from.Receive(func(kind string, section []byte, fds []int) error {
		defer clear(section) // there are keys in it
		if kind == sectionDone && len(fds) == 0 {
			part, known := t[string(section)]
			if !known || finished[string(section)] {
				return fmt.Errorf("the process before says that %q is complete", section)
			}
			finished[string(section)] = true
			if err := part.FinishImport(); err != nil {
				return fmt.Errorf("taking over the state of %s: %w", section, err)
			}
			return nil
		}
		part, known := t[kind]
		if !known {
			handover.CloseFiles(fds)
			return fmt.Errorf("the process before hands over %q, which is unknown here", kind)
		}
		if err := part.Import(section, fds); err != nil {
			return fmt.Errorf("taking over the state of %s: %w", kind, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for kind := range t {
		if !finished[kind] {
			return fmt.Errorf("the process before hands over no %s", kind)
		}
	}
	return nil
}

func (t importers) discard() {
	for _, part := range t {
		part.DiscardImport()
	}
}

// takeOver accepts an offer, and returns nil once everything is this process's.
func (t importers) takeOver(from *handover.New) error {
	err := from.Accept()
	if err == nil {
		err = t.receive(from)
	}
	if err != nil {
		from.Refuse(err)
		t.discard()
		return err
	}
	if err := from.Ready(); err != nil {
		from.Close()
		t.discard()
		return err
	}
	return nil
}

// Facts are the settings on which the processes of a handover have to agree: where the notifications come from, and what connections
// and the ring for clients that come back are.
func Facts(cfg config.Config) []handover.Fact {
	onOff := func(on bool) string {
		if on {
			return "on"
		}
		return "off"
	}
	return []handover.Fact{
		{Name: "REDIS_FEED", Value: cfg.RedisFeed},
		{Name: "the address of Redis", Value: cfg.RedisAddr()},
		{Name: "REDIS_USE_TLS", Value: onOff(cfg.RedisUseTLS)},
		{Name: "REDIS_PRESENCE", Value: onOff(cfg.RedisPresence)},
		{Name: "WS_RESUME_WINDOW", Value: onOff(cfg.WSResumeWindow > 0)},
		{Name: "the TLS port", Value: onOff(cfg.WSTLS())},
	}
}

// freeMemory is what the control group of this process leaves; 0 where there is no limit, or none that can be read.
func freeMemory() int64 {
	free, limited, err := cgroup.Free(os.DirFS("/"))
	if err != nil || !limited {
		return 0
	}
	return max(1, int64(free))
}

// takeConnections takes over the connections of the old process, if there is one that offers them. After nil either this process has them,
// or only the listening sockets are to be taken over. The error says why this process can't take over.
func (s *Service) takeConnections(ctx context.Context) error {
	inherited, err := s.sockets.inheritedHandover()
	if err != nil || inherited == nil {
		return err
	}
	began := time.Now()
	hello := handover.Hello{
		Release: version.Number(), Mode: s.cfg.WSUpgrade, Must: Facts(s.cfg),
		Sockets: s.current.Load().budget.Sockets, Memory: freeMemory(), Takes: s.takes(),
	}
	from, offer, err := handover.Greet(inherited, hello)
	if errors.Is(err, handover.ErrDrain) {
		s.log.Info("the connections are not taken over: the process before lets them go", "reason", handover.Reason(err))
		return nil
	}
	if err != nil {
		return err
	}
	if !slices.Contains(handover.Formats(), offer.Format) {
		err := fmt.Errorf("%w: the process before hands over in format %d", handover.ErrRefused, offer.Format)
		from.Refuse(err)
		return err
	}
	s.log.Debug("taking over connections", "sockets", offer.Sockets, "from_version", offer.Release)
	stopped := context.AfterFunc(ctx, from.Close)
	parts, conns, err := s.importers()
	if err != nil {
		from.Refuse(err)
		return err
	}
	restore := gcpace.Sparing()
	err = parts.takeOver(from)
	restore()
	if err != nil {
		stopped()
		return err
	}
	stopped() // a signal to stop stops this process as any other from now on
	s.took.from, s.took.pid, s.took.taken, s.took.began = from, os.Getppid(), conns.taken, began
	return nil
}

// tookOver is how this process has taken over connections. Static once started, but for what any goroutine may read.
type tookOver struct {
	from  *handover.New // nil: it has not
	pid   int           // of the old process
	taken netpoll.TakenOver
	began time.Time

	took   atomic.Int64 // nanoseconds until this process served; set then
	paused atomic.Int64 // of these: while nobody read or wrote; the old process says it
}

// tellTakenOver logs what this process has taken over, once it serves.
func (s *Service) tellTakenOver() {
	if s.took.from == nil {
		return
	}
	t := s.took.taken
	s.log.Info("took over", "from", s.took.pid, "connections", t.Connections, "handshakes", t.Handshakes, "notifications", t.Notifications,
		"refused", t.Refused, "took", time.Since(s.took.began).Round(time.Millisecond).String())
}

// receiveLate takes what the old process sends after commit, until it ends.
func (s *Service) receiveLate() {
	err := s.took.from.Late(func(kind string, section []byte, fds []int) error {
		defer clear(section)
		switch kind {
		case sectionLate:
			return s.ws.TakeLate(section, fds)
		case sectionReload:
			s.reloads.again()
		case sectionWebhook:
			s.takeWebhook(section)
		case sectionPaused:
			if len(section) == 8 {
				s.took.paused.Store(int64(binary.BigEndian.Uint64(section)))
			}
		default:
			handover.CloseFiles(fds)
		}
		return nil
	})
	s.took.from.Close()
	if s.webhook != nil {
		s.webhook.Start()
	}
	if err != nil {
		s.log.LogAttrs(context.Background(), slog.LevelWarn, "what the process before hands over late can't be taken", slog.Any("error", err))
	}
}
