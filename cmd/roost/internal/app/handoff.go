package app

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"roost/cmd/roost/internal/handover"
	"roost/cmd/roost/internal/version"
)

// handoff is the handover of one upgrade, in the old process, from the start of the new process to this one's end.
type handoff struct {
	old     *handover.Old
	cancel  context.CancelCauseFunc
	reloads uint64        // that were asked for before the new process was started
	ended   chan struct{} // closed when everything is handed over, or taken back
	out     atomic.Bool   // this process is out: set once everything is handed over

	// Static once ended is closed.
	committed bool
	err       error // why not committed; nil: the new process wants no connections
	paused    time.Duration
	late      func(context.Context) error // hands over what is left, after commit

	takesWebhook bool // the new process sends what waits for the webhook

	sending sync.Mutex // held while something is sent after commit
	over    bool       // guarded by sending: nothing more can be sent
}

// errNewEnded ends an old process that is out when the new one fails.
var errNewEnded = errors.New("the new process has ended after it had taken over the connections")

// takeBackLimit is how long a new process may take to end by itself after a handover that failed.
const takeBackLimit = 2 * time.Second

// startNew starts the new process, hands over the connections if it takes them, and returns when it serves. After an error this process
// goes on, unless that is errNewEnded.
func (s *Service) startNew() error {
	old, inherited, err := handover.NewOld()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	h := &handoff{old: old, cancel: cancel, reloads: s.reloads.count.Load(), ended: make(chan struct{})}
	if !s.beginHandoff(h) {
		_ = inherited.Close()
		return errStopping
	}
	go func() {
		defer close(h.ended)
		h.committed, h.err = s.offer(ctx, h)
	}()
	if err = s.sockets.handOver(inherited, s.oldProcessLimit()); err == nil {
		old.Dismiss(errServesWithout)
	} else {
		cancel(old.Ended(err))
	}
	<-h.ended
	switch {
	case h.committed && err != nil:
		return fmt.Errorf("%w: %w", errNewEnded, err)
	case h.committed:
		// The other side counts a reload before it looks at out: one of the two sees the other.
		h.out.Store(true)
		if s.reloads.count.Load() != h.reloads {
			h.tellReload()
		}
		return nil
	}
	s.endHandoff(h)
	if err != nil && h.err != nil && !errors.Is(h.err, err) {
		return fmt.Errorf("%w (%w)", h.err, err)
	}
	return err
}

// oldProcessLimit is how long an upgrade waits for the end of the process before this one. After a handover that finishes handshakes; one
// that drains takes too long to be waited for.
func (s *Service) oldProcessLimit() time.Duration {
	if s.took.from == nil {
		return 10 * time.Millisecond
	}
	return s.cfg.WSHandshakeTimeout + 10*time.Second
}

// beginHandoff makes h the handover under way. It returns false when this process has been told to stop.
func (s *Service) beginHandoff(h *handoff) bool {
	s.upgrades.mu.Lock()
	defer s.upgrades.mu.Unlock()
	if s.stopping.Load() {
		return false
	}
	s.upgrades.now = h
	return true
}

// endHandoff says that h has not come about.
func (s *Service) endHandoff(h *handoff) {
	h.old.Fail(errServesWithout)
	s.upgrades.mu.Lock()
	defer s.upgrades.mu.Unlock()
	s.upgrades.now = nil
}

// giveUpHandoff ends a handover under way, for a process that is told to stop. It returns true if the new process has everything already.
func (s *Service) giveUpHandoff() (committed bool) {
	s.upgrades.mu.Lock()
	s.stopping.Store(true)
	h := s.upgrades.now
	s.upgrades.mu.Unlock()
	if h == nil {
		return false
	}
	h.fail(errStopping) // after commit nothing is lost by it but what would come late
	<-h.ended
	return h.committed
}

// fail ends a handover that is not committed. Any goroutine.
func (h *handoff) fail(err error) {
	h.old.Fail(err)
	h.cancel(err)
}

// offer offers the connections to the new process, and reports whether that has them now. Without an error, and without a commit, the new
// process takes only the listening sockets.
func (s *Service) offer(ctx context.Context, h *handoff) (committed bool, err error) {
	hello, err := h.old.Await()
	if err != nil {
		return false, err
	}
	connections := s.hub.Connections()
	need := handover.Need{Must: Facts(s.cfg), Sockets: s.ws.Stats().Sockets, Bytes: liveHeap()}
	drains, err := outcome(hello, s.cannotHandOver(), need)
	switch {
	case err != nil:
		h.old.Refuse(err)
		return false, err
	case drains != "":
		if hello.Mode == modeHandover { // otherwise the operator wants it
			s.log.Warn("the connections can't be handed over: they are drained", "reason", drains)
		}
		return false, h.old.Drain(drains)
	}
	if err := h.old.Offer(handover.Offer{Format: handover.Format, Release: version.Number(), Sockets: need.Sockets}); err != nil {
		s.endNew(hello.Pid)
		return false, err
	}
	s.log.Info("handing over the connections", "new_process", hello.Pid, "version", hello.Release, "connections", connections)
	parts, conns, err := s.exporters()
	if err != nil {
		s.endNew(hello.Pid)
		return false, err
	}
	h.paused, err = (&handing{old: h.old, parts: parts}).run(ctx, connections)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if err != nil {
		s.log.Warn("the handover failed: everything is taken back", "error", err)
		s.endNew(hello.Pid)
		return false, err
	}
	h.takesWebhook = slices.Contains(hello.Takes, takesWebhook)
	h.late = func(ctx context.Context) error { return s.lateConns(ctx, h, conns) }
	s.tellHandedOver(h, conns.handed)
	_ = h.sendLate(sectionPaused, binary.BigEndian.AppendUint64(nil, uint64(h.paused)), nil) // it is for people
	return true, nil
}

// outcome says what becomes of the connections when a new process greets with hello. drains is why they are closed instead, which is so where
// cannot says why this process can't hand them over; err refuses the upgrade.
func outcome(hello handover.Hello, cannot string, need handover.Need) (drains string, err error) {
	switch {
	case hello.Mode != modeHandover:
		return "WS_UPGRADE=" + hello.Mode, nil
	case cannot != "":
		return cannot, nil
	}
	return "", hello.Check(need)
}

// cannotHandOver is why this process can't hand over its connections; empty: it can.
func (s *Service) cannotHandOver() string {
	if err := s.feed.CanHandOver(); err != nil {
		return err.Error()
	}
	return ""
}

// endNew ends a new process after a handover that failed, if it does not end by itself: it may be stopped, or hang.
func (s *Service) endNew(pid int) {
	s.upgrades.mu.Lock()
	h := s.upgrades.now
	s.upgrades.mu.Unlock()
	h.old.Fail(errors.New("the handover failed")) // the new process sees it
	time.AfterFunc(takeBackLimit, func() {
		if slices.Contains(children(os.Getpid()), pid) {
			s.log.Warn("the new process does not end by itself", "new_process", pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
}

// tellReload has the new process read its configuration again, after commit: this process was asked to, and its part is over.
func (h *handoff) tellReload() {
	if h.sendLate(sectionReload, nil, nil) == nil {
		return
	}
	for _, pid := range children(os.Getpid()) { // the new process is all that this one has started
		_ = syscall.Kill(pid, syscall.SIGHUP)
	}
}

// sendLate sends a section after commit. Any goroutine.
func (h *handoff) sendLate(kind string, section []byte, fds []int) error {
	h.sending.Lock()
	defer h.sending.Unlock()
	if h.over {
		return errors.New("the handover is over")
	}
	return h.old.Section(kind, section, fds)
}

// end says that nothing more comes.
func (h *handoff) end() {
	h.sending.Lock()
	defer h.sending.Unlock()
	h.over = true
	h.old.End()
}

// modeHandover is WS_UPGRADE for a handover.
const modeHandover = "handover"

// liveHeap is about how much memory the new process will need for the state of this one.
func liveHeap() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(sample[0].Value.Uint64())
}
