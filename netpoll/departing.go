package netpoll

import (
	"context"
	"math/rand/v2"
	"time"

	"roost/wsproto"
)

// A server that is to be replaced lets its connections go a few at a time, so that
// its clients do not all come back at once. First nobody new comes, see
// StopAccepting; then Depart; and Shutdown ends what is left.

// departEvery is how often some connections are let go.
const departEvery = 50 * time.Millisecond

// Depart ends every connection with bye, behind what was delivered to it, spread
// over a time. Those who come meanwhile stay. It returns when the time is over,
// when nobody is left, or when ctx ends. Any goroutine.
func (s *Server) Depart(ctx context.Context, bye Farewell, over time.Duration) {
	for _, l := range s.loops {
		l.do(func() { l.departing.begin(l) })
	}
	frame := wsproto.AppendClose(nil, bye.Code, bye.Text)
	ticker := time.NewTicker(departEvery)
	defer ticker.Stop()
	begun := s.now()
	for share := 0.0; share < 1 && s.cfg.Hub.Connections() > 0; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		share = min(1, float64(s.now()-begun)/float64(over))
		for _, l := range s.loops {
			l.do(func() { l.departing.goOn(l, share, bye.Reason, frame) })
		}
	}
}

// departing is the connections of a loop that are let go, in the order in which
// they are.
type departing struct {
	conns []*conn
	gone  int // of them
}

// begin gathers the connections, in an order that says nothing: those who came
// together shall not leave together.
func (d *departing) begin(l *loop) {
	*d = departing{}
	l.wheel.Each(func(c *conn) {
		if c.state == stateOpen && !c.probe {
			d.conns = append(d.conns, c)
		}
	})
	rand.Shuffle(len(d.conns), func(i, j int) { d.conns[i], d.conns[j] = d.conns[j], d.conns[i] })
}

// goOn lets connections go until that share of all has.
func (d *departing) goOn(l *loop, share float64, why Reason, frame []byte) {
	until := int(share * float64(len(d.conns)))
	if until > d.gone {
		l.drainAll()
	}
	for ; d.gone < until; d.gone++ {
		l.endDeparting(d.conns[d.gone], why, frame)
		d.conns[d.gone] = nil
	}
}

// endDeparting ends a connection, unless it has ended by itself.
func (l *loop) endDeparting(c *conn, why Reason, frame []byte) {
	defer l.guard(c)
	l.end(c, why, frame)
}
