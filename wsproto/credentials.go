package wsproto

import (
	"bytes"
	"time"
)

// Protocol is the one sub-protocol that Roost speaks: what its envelopes are. It is
// answered where it is offered (RFC 6455 section 4.2.2, 5).
const Protocol = "roost.v1"

// bearerProtocol begins an offered sub-protocol that is a token: browsers can't
// set headers, and addresses end up in logs.
const bearerProtocol = "bearer."

// offered takes the list of a Sec-WebSocket-Protocol field (RFC 6455 section 11.3.4;
// several fields are one list).
func (h *head) offered(list []byte) {
	for len(list) > 0 {
		var name []byte
		name, list, _ = bytes.Cut(list, []byte{','})
		name = trimSpace(name)
		if string(name) == Protocol {
			h.offersProtocol = true
		} else if token, ok := bytes.CutPrefix(name, []byte(bearerProtocol)); ok {
			h.bearers = true
			h.tokens.set(token)
		}
	}
}

// authorized takes an Authorization field. Other schemes than Bearer (RFC 6750 section 2.1) are not
// for us: a proxy's Basic may come through.
func (h *head) authorized(value []byte) {
	const scheme = "bearer"
	if len(value) > len(scheme) && value[len(scheme)] == ' ' && equalFold(value[:len(scheme)], scheme) {
		h.tokens.set(trimSpace(value[len(scheme):]))
	}
}

// readCredentials finds what says who asks: a ticket where one is given and understood,
// otherwise a token, from the one place where there is one.
func (g *Gate) readCredentials(h *head, request *Request) *Refusal {
	if g.ticket != nil {
		if ticket, count, ok := queryValue(h.query, "ticket"); count > 0 {
			if !ok || count > 1 {
				return refuseTicket
			}
			request.Probe, request.credential = true, ticket
			return nil
		}
	}
	token, count, ok := queryValue(h.query, "token")
	if count == 0 || count == 1 && ok && len(token) == 0 {
		count = 0 // a client that has none may well say so
	}
	switch {
	case h.bearerAlone():
		return refuseBearerAlone
	case count+h.tokens.count > 1:
		return refuseTokenTwice
	case h.tokens.count > 0:
		token, ok = h.tokens.value, true
	}
	switch {
	case len(token) == 0 && ok:
		return refuseTokenMissing
	case len(token) > MaxToken:
		return refuseTokenTooLong
	case !ok:
		return refuseTokenMalformed
	}
	request.credential = token
	return nil
}

// bearerAlone reports whether a token came as a sub-protocol without one that can be
// answered: a browser would give the connection up without a word.
func (h *head) bearerAlone() bool { return h.bearers && !h.offersProtocol }

// Identify finds out who asks for an upgrade, and fills in the request's User, Groups and Expires. now is the time to check
// the token against. It has to be called while the head that was read is there. It takes a few microseconds: where
// finding out takes longer, because the token may be signed with a key pair, it reports later, and nothing is decided.
// Then the request has a Turn, and [Request.Detach] and, on another goroutine than a loop, [Gate.Check] have to follow.
func (g *Gate) Identify(request *Request, now time.Time) (refusal *Refusal, later bool) {
	if request.Probe {
		return g.redeem(request), false
	}
	id, refusal, turn, later := g.readToken(request.credential, now)
	request.Turn = turn
	if !later {
		g.identified(request, id, refusal)
	}
	return refusal, later
}

// Check finds out who asks where [Gate.Identify] left that for later. It takes 30 to 100 microseconds for most tokens,
// and up to eight times as much for one that doesn't say which key is its own.
func (g *Gate) Check(request *Request, now time.Time) *Refusal {
	id, refusal := g.checkToken(request.credential, now)
	g.identified(request, id, refusal)
	return refusal
}

func (g *Gate) identified(request *Request, id identity, refusal *Refusal) {
	request.credential = nil
	if refusal == nil {
		request.User, request.Groups, request.Expires = id.user, id.groups, id.expires.Add(g.leeway)
	}
}

// redeem lets in who has a ticket.
func (g *Gate) redeem(request *Request) *Refusal {
	user, ok := g.ticket(request.credential)
	request.credential = nil
	if !ok {
		request.Probe = false
		return refuseTicket
	}
	request.User = user
	return nil
}
