package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"roost/cmd/roost/internal/handover"
)

// A handover gives the open connections to the new process of an upgrade, in two phases. Until commit this process, the old one, can
// take everything back and go on. This file has the phases; takeover.go has the new process's side.

// send sends a section of a part's state, with descriptors beside it. The caller keeps both.
type send = func(section []byte, fds []int) error

// exporters are the parts of the service that hand over their state. Each knows what its own sections mean.
type exporters struct {
	feed     feedExporter
	hub      hubExporter
	presence presenceExporter // nil without REDIS_PRESENCE
	conns    connsExporter
}

type feedExporter interface {
	Prepare(ctx context.Context) error
	Freeze(ctx context.Context) error
	Export(send) error
	Unfreeze()
	Commit()
}

type hubExporter interface {
	HoldBroadcasts(ctx context.Context) error
	LetBroadcasts()
	Export(send) error
	Commit()
}

type presenceExporter interface {
	Freeze(ctx context.Context) error
	Export(send) error
	Unfreeze()
	Commit()
}

type connsExporter interface {
	PreCopy(ctx context.Context, to send) error
	Freeze(ctx context.Context, to send) error
	Export(send) error
	Abort()
	Commit()
}

// The kinds of sections.
const (
	sectionFeed     = "feed"
	sectionHub      = "hub"
	sectionPresence = "presence"
	sectionConns    = "conns"
	sectionDone     = "done"    // its body names the kind that is complete
	sectionLate     = "late"    // conns, after commit
	sectionPaused   = "paused"  // after commit: for how long everything stood still
	sectionWebhook  = "webhook" // after commit: events that wait for the webhook
	sectionReload   = "reload"  // after commit: this process was asked to reload since it has started the new one
)

const (
	// freezeLimit is how long everything may stand still before this process goes on by itself: clients must not notice.
	freezeLimit = 2 * time.Second
	// freezeEach is added to it for each connection.
	freezeEach = 20 * time.Microsecond
)

// handing is a handover under way.
type handing struct {
	old   *handover.Old
	parts exporters
	undo  []func() // in the order in which it was done
}

// run hands over so many connections, or takes everything back and returns why. paused is for how long everything stood still.
func (h *handing) run(ctx context.Context, connections int) (paused time.Duration, err error) {
	defer func() {
		if err != nil {
			h.takeBack()
		}
	}()
	if err := h.prepare(ctx); err != nil {
		return 0, err
	}
	began := time.Now()
	limit := began.Add(freezeLimit + time.Duration(connections)*freezeEach)
	h.old.Limit(limit)
	ctx, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	if err := h.freeze(ctx); err != nil {
		return 0, err
	}
	if err := h.export(); err != nil {
		return 0, err
	}
	if err := h.old.Finish(); err != nil {
		return 0, fmt.Errorf("waiting for the new process: %w", err)
	}
	if err := h.old.Commit(); err != nil {
		return 0, fmt.Errorf("handing over: %w", err)
	}
	h.release()
	return time.Since(began), nil
}

// prepare does all that is possible while clients are served. takeBack undoes it.
func (h *handing) prepare(ctx context.Context) error {
	if h.parts.presence != nil {
		h.undo = append(h.undo, h.parts.presence.Unfreeze)
		if err := h.parts.presence.Freeze(ctx); err != nil {
			return fmt.Errorf("preparing presence: %w", err)
		}
	}
	h.undo = append(h.undo, h.parts.feed.Unfreeze)
	if err := h.parts.feed.Prepare(ctx); err != nil {
		return fmt.Errorf("preparing the feed: %w", err)
	}
	h.undo = append(h.undo, h.parts.conns.Abort)
	if err := h.parts.conns.PreCopy(ctx, h.send(sectionConns)); err != nil {
		return fmt.Errorf("preparing the connections: %w", err)
	}
	h.undo = append(h.undo, h.parts.hub.LetBroadcasts)
	if err := h.parts.hub.HoldBroadcasts(ctx); err != nil {
		return fmt.Errorf("waiting for broadcasts: %w", err)
	}
	return nil
}

// freeze has everything stand still: from here on nothing is read from Redis, and nothing is read from or written to a client.
func (h *handing) freeze(ctx context.Context) error {
	if err := h.parts.feed.Freeze(ctx); err != nil {
		return fmt.Errorf("stopping the feed: %w", err)
	}
	if err := h.parts.conns.Freeze(ctx, h.send(sectionConns)); err != nil {
		return fmt.Errorf("stopping the loops: %w", err)
	}
	return nil
}

// export sends the state, in the order in which the new process can take it.
func (h *handing) export() error {
	type part struct {
		kind   string
		export func(send) error
	}
	parts := []part{{sectionFeed, h.parts.feed.Export}, {sectionHub, h.parts.hub.Export}}
	if h.parts.presence != nil {
		parts = append(parts, part{sectionPresence, h.parts.presence.Export})
	}
	for _, p := range append(parts, part{sectionConns, h.parts.conns.Export}) {
		if err := p.export(h.send(p.kind)); err != nil {
			return fmt.Errorf("handing over the state of %s: %w", p.kind, err)
		}
		if err := h.old.Section(sectionDone, []byte(p.kind), nil); err != nil {
			return fmt.Errorf("handing over the state of %s: %w", p.kind, err)
		}
	}
	return nil
}

// takeBack undoes everything, the last first.
func (h *handing) takeBack() {
	for i := len(h.undo) - 1; i >= 0; i-- {
		h.undo[i]()
	}
	h.undo = nil
}

// release lets go of everything after commit: it is the new process's.
func (h *handing) release() {
	h.undo = nil
	h.parts.conns.Commit()
	h.parts.feed.Commit()
	h.parts.hub.Commit()
	if h.parts.presence != nil {
		h.parts.presence.Commit()
	}
}

// send returns a function that sends sections of a kind.
func (h *handing) send(kind string) send {
	return func(section []byte, fds []int) error { return h.old.Section(kind, section, fds) }
}

var (
	// errServesWithout is why a handover that nobody asked for ends: the new process serves with the listening sockets alone.
	errServesWithout = errors.New("the new process takes only the listening sockets")
	// errStopping is why a handover ends when this process is told to stop.
	errStopping = errors.New("this process is told to stop")
)
