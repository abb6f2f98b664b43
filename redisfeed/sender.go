package redisfeed

import (
	"context"
	"time"

	"roost/redisfeed/internal/subs"
	"roost/redisfeed/publish"
)

// sender sends the commands about users' channels on one link, many at a time, from a goroutine of its own: neither who
// adds commands nor who reads the answers waits for a write.
type sender struct {
	link     *link
	id       uint16 // of the link, for the subscriptions
	sharded  bool
	ping     time.Duration // between two PINGs; 0: none
	more     chan struct{} // capacity 1: there are commands, or room in the window
	commands subs.Commands
}

func newSender(l *link, id uint16, mode Mode) *sender {
	return &sender{link: l, id: id, sharded: mode == Sharded, more: make(chan struct{}, 1)}
}

// add takes commands. Any goroutine.
func (s *sender) add(commands ...subs.Command) {
	s.commands.Add(commands...)
	signal(s.more)
}

// answered takes the oldest command without an answer, and is false if there is none. The reader calls it.
func (s *sender) answered() (command subs.Command, ok bool) {
	command, more, ok := s.commands.Answered()
	if more {
		signal(s.more)
	}
	return command, ok
}

// run sends until ctx ends, or until it can't: then it ends the link.
func (s *sender) run(ctx context.Context) {
	var pings <-chan time.Time
	if s.ping > 0 {
		ticker := time.NewTicker(s.ping)
		defer ticker.Stop()
		pings = ticker.C
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-s.more:
			err = s.sendAll()
		case <-pings:
			err = s.link.sendPing()
		}
		if err != nil {
			s.link.cancel(err)
			return
		}
	}
}

// sendAll sends what is waiting, as far as the window lets it.
func (s *sender) sendAll() error {
	for {
		batch := s.commands.Take()
		if len(batch) == 0 {
			return nil
		}
		if err := s.send(batch); err != nil {
			return err
		}
	}
}

// send sends commands of one kind. A sharded command is for one slot, so each user has one of its own; Redis takes any
// number of channels otherwise.
func (s *sender) send(batch []subs.Command) error {
	channels := make([]string, len(batch))
	for i, c := range batch {
		channels[i] = publish.ChannelPrefix + c.User
	}
	if s.sharded {
		return s.link.changeSharded(batch[0].Unsubscribe, channels)
	}
	return s.link.change(batch[0].Unsubscribe, channels)
}
