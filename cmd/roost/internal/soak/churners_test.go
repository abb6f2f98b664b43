package soak

import (
	"math/rand/v2"
	"time"

	"roost/cmd/roost/internal/roosttest"
)

// churners come and go.
func churners() []troublemaker {
	const often, seldom = 5 * time.Millisecond, 50 * time.Millisecond
	somewhile := func() time.Duration { return rand.N(200 * time.Millisecond) }
	return []troublemaker{
		{name: "close frame", user: "churn", pause: often, shows: closedAs("client_closed"), act: func(p *peer) {
			p.send(roosttest.ClientFrame(8, "\x03\xe8"))
			p.takeAll()
		}},
		{name: "stays, takes some, close frame", user: "churn", pause: often, shows: closedAs("client_closed"), act: func(p *peer) {
			p.takeFor(somewhile())
			p.send(roosttest.ClientFrame(8, "\x03\xe8"))
		}},
		{name: "closes TCP", user: "churn", pause: often, shows: closedAs("client_gone"), act: func(p *peer) { p.takeFor(somewhile()) }},
		{name: "closes its half", user: "churn", pause: often, shows: closedAs("client_gone"), act: func(p *peer) {
			_ = p.CloseWrite()
			p.takeAll()
		}},
		{name: "reset", user: "churn", pause: often, shows: closedAs("client_gone"), act: func(p *peer) { p.reset() }},
		{name: "reset with notifications unread", user: "churn", pause: often, shows: closedAs("client_gone"), act: func(p *peer) {
			p.wait(somewhile())
			p.reset()
		}},
		{name: "half a handshake, gone", pause: often, shows: "roost_received_bytes_total", act: func(p *peer) {
			p.send(roosttest.Head("some-token")[:40])
		}},
		{name: "half a handshake, reset", pause: often, shows: "roost_received_bytes_total", act: func(p *peer) {
			p.send(roosttest.Head("some-token")[:40])
			p.reset()
		}},
		{name: "a handshake, gone before the answer", pause: seldom, shows: refusedAs("token_missing"), act: func(p *peer) {
			p.send(roosttest.Head(""))
		}},
		{name: "bad token", pause: seldom, shows: refusedAs("token_malformed"), act: func(p *peer) {
			p.send(roosttest.Head("bad"))
			p.takeAll()
		}},
		{name: "not a word", pause: often, shows: "roost_received_bytes_total", act: func(*peer) {}},
	}
}
