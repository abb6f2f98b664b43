package app

import (
	"strings"
	"testing"
)

// The text that a deep check sends through Redis opens nothing: everybody who may MONITOR reads it.
func TestTicketDoesNotPassThroughRedis(t *testing.T) {
	t.Parallel()
	p := newSelfCheck(nil)
	identity, ticket := p.admit()
	_, secret, _ := strings.Cut(identity, ":")
	for _, read := range []string{identity, secret, probePayload} {
		if user, ok := p.tickets.redeem([]byte(read)); ok {
			t.Errorf("%q opens a connection as %q", read, user)
		}
	}
	if strings.Contains(identity, ticket) {
		t.Errorf("%q has the ticket in it", identity)
	}
	for range 2 {
		user, ok := p.tickets.redeem([]byte(ticket))
		if (user == identity) != ok {
			t.Errorf("redeemed for %q", user)
		}
	}
	if _, ok := p.tickets.redeem([]byte(ticket)); ok {
		t.Error("the ticket is good again")
	}
}
