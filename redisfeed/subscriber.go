package redisfeed

import (
	"context"
	"sync"
	"time"

	"roost/redisfeed/publish"
)

const (
	// subscribeBatch bounds the users of one write.
	subscribeBatch = 512
	// subscribeWindow bounds the commands that Redis has not answered: it must not be made to keep more for us than it
	// lets a subscriber have.
	subscribeWindow = 8 * subscribeBatch
)

// order is a command about one user's channel.
type order struct {
	user string
	end  bool // UNSUBSCRIBE
}

// subscriber sends the commands about users' channels on one link, many at a time, from a goroutine of its own: neither
// who wants them nor who reads the answers waits for a write.
type subscriber struct {
	link    *link
	id      uint16 // of the link, for the audience
	sharded bool
	ping    time.Duration // between two PINGs; 0: none
	more    chan struct{} // capacity 1: there are orders, or room in the window

	mu      sync.Mutex
	waiting []order // guarded by mu: to be sent
	sent    []order // guarded by mu: to be answered, in this order
}

func newSubscriber(l *link, id uint16, mode Mode) *subscriber {
	return &subscriber{link: l, id: id, sharded: mode == Sharded, more: make(chan struct{}, 1)}
}

// add takes orders. Any goroutine.
func (s *subscriber) add(orders ...order) {
	s.mu.Lock()
	s.waiting = append(s.waiting, orders...)
	s.mu.Unlock()
	s.notify()
}

func (s *subscriber) notify() {
	signal(s.more)
}

// run sends until ctx ends, or until it can't: then it ends the link.
func (s *subscriber) run(ctx context.Context) {
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

// sendAll sends what waits, as far as the window lets it.
func (s *subscriber) sendAll() error {
	for {
		batch := s.take()
		if len(batch) == 0 {
			return nil
		}
		if err := s.send(batch); err != nil {
			return err
		}
	}
}

// take moves the next orders of one kind from waiting to sent, before they are sent: the answers may be quick.
func (s *subscriber) take() []order {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < min(subscribeBatch, len(s.waiting), subscribeWindow-len(s.sent)) && s.waiting[n].end == s.waiting[0].end {
		n++
	}
	batch := s.waiting[:n:n]
	s.sent = append(s.sent, batch...)
	if s.waiting = s.waiting[n:]; len(s.waiting) == 0 {
		s.waiting = nil
	}
	return batch
}

// send sends orders of one kind. A sharded command is for one slot, so each user has one of its own; Redis takes any
// number of channels otherwise.
func (s *subscriber) send(batch []order) error {
	channels := make([]string, len(batch))
	for i, o := range batch {
		channels[i] = publish.ChannelPrefix + o.user
	}
	if s.sharded {
		return s.link.changeSharded(batch[0].end, channels)
	}
	return s.link.change(batch[0].end, channels)
}

// answered takes the oldest order that is not answered, and reports false if there is none.
func (s *subscriber) answered() (o order, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sent) == 0 {
		return o, false
	}
	o = s.sent[0]
	if s.sent = s.sent[1:]; len(s.sent) == 0 {
		s.sent = nil
	}
	if len(s.waiting) > 0 && len(s.sent)%subscribeBatch == 0 {
		s.notify() // there is room for a batch
	}
	return o, true
}

// isNext reports whether an answer can be the one to o.
func (s *subscriber) isNext(o order) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sent) > 0 && s.sent[0] == o
}
