package rules

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"roost/bench/roostbench/internal/raw"
	"roost/bench/roostbench/internal/wire"
)

// sampleKey is RFC 6455's (section 1.3).
var sampleKey = wire.Key([]byte("dGhlIHNhbXBsZSBub25jZQ=="))

// handshake plays a request.
func (p *Player) handshake(ctx context.Context, c Case, w way) (seen, error) {
	socket, err := p.Target.Dial(ctx, 0)
	if err != nil {
		return seen{}, err
	}
	defer socket.Close()
	if err := p.say(socket, w.pieces); err != nil {
		return seen{}, err
	}
	conn, answer, err := raw.Upgraded(socket, sampleKey, c.Offers...)
	s := seen{status: statusOf(answer), head: strings.ToLower(string(answer))}
	switch {
	case err == nil:
		s.ask(conn, p.Target.Patience)
	case errors.Is(err, wire.ErrBadAnswer):
		s.bad = err.Error()
	case !errors.Is(err, wire.ErrRefused):
		s.end = endOf(err)
	case s.status == NoAnswer:
		s.bad = fmt.Sprintf("answered %.20q", answer)
	}
	return s, nil
}

// statusOf reads the status line; 0 where there is none.
func statusOf(answer []byte) int {
	version, rest, _ := strings.Cut(string(answer), " ")
	if !strings.HasPrefix(version, "HTTP/") || len(rest) < 3 {
		return 0
	}
	status := 0
	for _, digit := range rest[:3] {
		if digit < '0' || digit > '9' {
			return 0
		}
		status = 10*status + int(digit-'0')
	}
	return status
}
