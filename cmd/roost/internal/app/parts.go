package app

import (
	"context"

	"roost/netpoll"
	"roost/redisfeed/presence"
)

// The parts of this service, as handover.go and takeover.go want them.

// givenConns hands over netpoll's part.
type givenConns struct {
	*netpoll.HandingOver
	handed netpoll.Handed // set by Commit
}

// Commit implements connsGiver.
func (c *givenConns) Commit() { c.handed = c.HandingOver.Commit() }

// givers begins a handover of this service's parts.
func (s *Service) givers() (g givers, conns *givenConns, err error) {
	begun, err := s.ws.BeginHandover()
	if err != nil {
		return g, nil, err
	}
	conns = &givenConns{HandingOver: begun}
	g = givers{feed: s.feed, hub: s.hub, conns: conns}
	if s.presence != nil {
		g.presence = s.presence
	}
	return g, conns, nil
}

// tellHandedOver logs what went over and what did not.
func (s *Service) tellHandedOver(h *handoff, handed netpoll.Handed) {
	s.log.Info("handed over", "connections", handed.Connections, "handshakes", handed.Handshakes, "notifications", handed.Notifications,
		"not_handed_over", handed.Stay, "stood_still", h.paused.String())
}

// takenConns takes over netpoll's part.
type takenConns struct {
	*netpoll.TakingOver
	taken netpoll.TakenOver // set by FinishImport
}

// Import implements taker, as the next two.
func (t *takenConns) Import(section []byte, fds []int) error { return t.Take(section, fds) }

func (t *takenConns) FinishImport() (err error) {
	t.taken, err = t.Finish()
	return err
}

func (t *takenConns) DiscardImport() { t.Abort() }

// takenPresence takes over presence, of which there is nothing to discard.
type takenPresence struct{ *presence.Writer }

func (takenPresence) DiscardImport() {}

// takers begins to take over this service's parts.
func (s *Service) takers() (takers, *takenConns, error) {
	begun, err := s.ws.BeginTakeover()
	if err != nil {
		return nil, nil, err
	}
	conns := &takenConns{TakingOver: begun}
	t := takers{sectionFeed: s.feed, sectionHub: s.hub, sectionConns: conns}
	if s.presence != nil {
		t[sectionPresence] = takenPresence{s.presence}
	}
	return t, conns, nil
}

// lateConns hands over the handshakes that could not go along, until none is left or ctx ends.
func (s *Service) lateConns(ctx context.Context, h *handoff, conns *givenConns) error {
	sent, err := conns.Late(ctx, func(section []byte, fds []int) error { return h.sendLate(sectionLate, section, fds) })
	if sent > 0 {
		s.log.Info("handed over late", "handshakes", sent)
	}
	return err
}
