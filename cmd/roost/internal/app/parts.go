package app

import (
	"context"

	"roost/netpoll"
	"roost/redisfeed/presence"
)

// The parts of this service, as handover.go and takeover.go want them.

// exportedConns hands over netpoll's part.
type exportedConns struct {
	*netpoll.HandingOver
	handed netpoll.Handed // set by Commit
}

// Commit implements connsExporter.
func (c *exportedConns) Commit() { c.handed = c.HandingOver.Commit() }

// exporters begins a handover of this service's parts.
func (s *Service) exporters() (g exporters, conns *exportedConns, err error) {
	begun, err := s.ws.BeginHandover()
	if err != nil {
		return g, nil, err
	}
	conns = &exportedConns{HandingOver: begun}
	g = exporters{feed: s.feed, hub: s.hub, conns: conns}
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

// importedConns takes over netpoll's part.
type importedConns struct {
	*netpoll.TakingOver
	taken netpoll.TakenOver // set by FinishImport
}

// Import implements importer, as the next two.
func (t *importedConns) Import(section []byte, fds []int) error { return t.Take(section, fds) }

func (t *importedConns) FinishImport() (err error) {
	t.taken, err = t.Finish()
	return err
}

func (t *importedConns) DiscardImport() { t.Abort() }

// importedPresence takes over presence, of which there is nothing to discard.
type importedPresence struct{ *presence.Writer }

func (importedPresence) DiscardImport() {}

// importers begins to take over this service's parts.
func (s *Service) importers() (importers, *importedConns, error) {
	begun, err := s.ws.BeginTakeover()
	if err != nil {
		return nil, nil, err
	}
	conns := &importedConns{TakingOver: begun}
	t := importers{sectionFeed: s.feed, sectionHub: s.hub, sectionConns: conns}
	if s.presence != nil {
		t[sectionPresence] = importedPresence{s.presence}
	}
	return t, conns, nil
}

// lateConns hands over the handshakes that could not go along, until none is left or ctx ends.
func (s *Service) lateConns(ctx context.Context, h *handoff, conns *exportedConns) error {
	sent, err := conns.Late(ctx, func(section []byte, fds []int) error { return h.sendLate(sectionLate, section, fds) })
	if sent > 0 {
		s.log.Info("handed over late", "handshakes", sent)
	}
	return err
}
