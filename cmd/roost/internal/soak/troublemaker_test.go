package soak

import (
	"context"
	"sync/atomic"
	"time"
)

// troublemaker is one kind of client that is not healthy. A new kind is a line in churners, slowReaders or abusers.
type troublemaker struct {
	name    string
	user    string        // does the handshake as this user first; empty: does not
	group   string        // that its token has; empty: none
	receive int           // receive buffer; 0: the kernel's choice
	act     func(p *peer) // what it does then; the socket is closed after it
	pause   time.Duration // from one to the next
	shows   string        // the metric that has to rise
	takes   time.Duration // how long the server needs to see it; a shorter soak does not ask for the metric
}

// run makes trouble until ctx ends, and counts how often.
func (m troublemaker) run(ctx context.Context, addr string, token string, acts *atomic.Int64) {
	for {
		if p, letGo, err := dial(ctx, addr, m.receive); err == nil {
			if m.user == "" || p.upgrade(token) == nil {
				m.act(p)
				acts.Add(1)
			}
			letGo()
		}
		if !pause(ctx, m.pause) {
			return
		}
	}
}

// closedAs is the metric of connections that ended for a reason, refusedAs that of those that were not admitted.
func closedAs(reason string) string { return `roost_connections_closed_total{reason="` + reason + `"}` }
func refusedAs(reason string) string {
	return `roost_connections_refused_total{reason="` + reason + `"}`
}

// troublemakers are all kinds.
func troublemakers() []troublemaker {
	var all []troublemaker
	for _, kinds := range [][]troublemaker{churners(), slowReaders(), abusers()} {
		all = append(all, kinds...)
	}
	return all
}
