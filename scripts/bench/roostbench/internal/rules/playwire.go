package rules

import (
	"context"
	"errors"
	"io"
	"time"

	"roost/bench/roostbench/internal/raw"
	"roost/bench/roostbench/internal/wire"
)

// question is the payload of our own ping.
const question = "serving on?"

// errStop ends a reading at a pong or a close frame.
var errStop = errors.New("that is what we waited for")

// wire plays frames on a connection of its own.
func (p *Player) wire(ctx context.Context, c Case, w way) (seen, error) {
	conn, err := p.Target.Open(ctx, p.user(), 0)
	if err != nil {
		return seen{}, err
	}
	defer conn.Close()
	if err := p.say(conn, w.pieces); err != nil {
		return seen{}, err
	}
	var s seen
	if len(c.Want.Closes) > 0 {
		// A ping at once could reset a connection that the server is about to close,
		// and its close frame with it.
		for range 2 { // one grace may pass while we stand still ourselves, and what has come meanwhile is read only in the next
			if s.listen(conn, grace); s.end != waits {
				return s, nil
			}
		}
	}
	s.ask(conn, p.Target.Patience)
	return s, nil
}

// ask sends our own ping and listens until it is answered.
func (s *seen) ask(conn *raw.Conn, patience time.Duration) {
	if s.code == 0 {
		_ = conn.SetDeadline(time.Now().Add(patience))         // the one before may have passed
		_, _ = io.WriteString(conn, frame(fin|ping, question)) // if it fails we hear why
	}
	s.listen(conn, patience)
}

// listen takes what comes until our own ping is answered, the connection ends, or
// for so long.
func (s *seen) listen(conn *raw.Conn, patience time.Duration) {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		s.end = reset
		return
	}
	for s.end = ""; s.end == ""; {
		err := conn.Receive(s.take)
		switch {
		case errors.Is(err, errStop):
			s.end = serves
		case errors.Is(err, wire.ErrFrame):
			s.end, s.bad = reset, err.Error() // which is what a client does
		case err != nil:
			s.end = endOf(err)
		}
	}
}

// take takes a message. Notifications and the server's own pings are its business.
func (s *seen) take(m wire.Message) error {
	switch m.Op {
	case wire.Pong:
		if string(m.Payload) == question {
			return errStop
		}
		s.pongs = append(s.pongs, string(m.Payload))
	case wire.Close:
		s.code = int(m.Code)
	}
	return nil
}
