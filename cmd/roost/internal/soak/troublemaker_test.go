package soak

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roost/cmd/roost/internal/roosttest"
	"roost/internal/pause"
)

// troublemaker is one kind of client that is not healthy. A new kind is a line in churners, slowReaders or abusers.
type troublemaker struct {
	name    string
	user    string        // does the handshake as this user first; empty: does not
	group   string        // that its token has; empty: none
	receive int           // receive buffer; 0: the kernel's choice
	far     bool          // comes from an address of its own: 127.0.1.1 to 127.0.1.8
	admin   bool          // goes to the admin port
	many    int           // as many times the plan's number at the same time; 0: once
	act     func(p *peer) // what it does then; the socket is closed after it
	pause   time.Duration // from one to the next
	shows   string        // the metric that has to rise
	takes   time.Duration // how long the server needs to see it; a shorter soak does not ask for the metric
}

// farAddresses is how many addresses those have who come from afar.
const farAddresses = 8

// run is the nth of a kind: it makes trouble until ctx ends, and counts how often.
func (m troublemaker) run(ctx context.Context, n int, server *roosttest.Server, token string, acts *atomic.Int64) {
	addr, from := server.WS, ""
	if m.admin {
		addr = server.HTTP
	}
	if m.far {
		from = fmt.Sprintf("127.0.1.%d", 1+n%farAddresses)
	}
	for {
		if p, letGo, err := dial(ctx, addr, from, m.receive); err == nil {
			if m.user == "" || p.upgrade(token) == nil {
				acts.Add(1)
				m.act(p)
			}
			letGo()
		}
		if !pause.For(ctx, m.pause) {
			return
		}
	}
}

// start has each times as many as the kind says make trouble until ctx ends.
func (m troublemaker) start(ctx context.Context, t testing.TB, running *sync.WaitGroup, each int, server *roosttest.Server, acts *atomic.Int64) {
	token := ""
	if m.user != "" {
		claims := roosttest.Claims{"sub": m.user, "exp": time.Now().Add(24 * time.Hour).Unix()}
		if m.group != "" {
			claims["groups"] = m.group
		}
		token = roosttest.Sign(t, "HS256", roosttest.Secret, claims)
	}
	for n := range each * max(m.many, 1) {
		running.Go(func() { m.run(ctx, n, server, token, acts) })
	}
}

// closedAs is the metric of connections that ended for a reason, refusedAs that of those that were not admitted.
func closedAs(reason string) string { return `roost_connections_closed_total{reason="` + reason + `"}` }
func refusedAs(reason string) string {
	return `roost_connections_refused_total{reason="` + reason + `"}`
}

// troublemakers are all kinds.
func troublemakers(t testing.TB) []troublemaker {
	var all []troublemaker
	for _, kinds := range [][]troublemaker{churners(), slowReaders(), abusers(), floods(t)} {
		all = append(all, kinds...)
	}
	return all
}
