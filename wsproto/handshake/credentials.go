package handshake

import (
	"bytes"
	"time"

	"roost/internal/position"
	"roost/wsproto/auth"
)

// Protocol is the one sub-protocol that Roost speaks: what its envelopes are. It is
// answered where it is offered (RFC 6455 section 4.2.2, 5).
const Protocol = "roost.v1"

// bearerProtocol begins an offered sub-protocol that is a token: browsers can't
// set headers, and addresses end up in logs.
const bearerProtocol = "bearer."

// sinceProtocol begins an offered sub-protocol that is the position of a client that comes back: see [Request.Since].
const sinceProtocol = "since."

// helloProtocol is an offered sub-protocol that asks for a hello with the id of the connection; with a dot and an id behind it the
// client keeps that id: see [Request.WantsID].
const helloProtocol = "hello"

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
		} else if since, ok := bytes.CutPrefix(name, []byte(sinceProtocol)); ok {
			h.since.set(since)
		} else if id, ok := bytes.CutPrefix(name, []byte(helloProtocol)); ok && (len(id) == 0 || id[0] == '.') {
			h.hello, h.helloID = true, bytes.TrimPrefix(id, []byte{'.'})
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

// readCredentials finds the credential of a request: a ticket, if tickets are configured and one is given, or else a token,
// which has to be in one place only.
func (u *Upgrader) readCredentials(h *head, request *Request) *Refusal {
	if u.ticket != nil {
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
	case len(token) > auth.MaxToken:
		return refuseTokenTooLong
	case !ok:
		return refuseTokenEncoding
	}
	request.credential = token
	return nil
}

// Renewal returns a request that stands for the token that the client of an open connection sends, to be authenticated as that of
// an upgrade ([Upgrader.Identify]). It aliases token.
func (u *Upgrader) Renewal(token []byte) (Request, *Refusal) {
	switch {
	case len(token) == 0:
		return Request{}, refuseTokenMissing
	case len(token) > auth.MaxToken:
		return Request{}, refuseTokenTooLong
	}
	return Request{credential: token}, nil
}

// readSince reads where the client was before: a parameter of the query, or a sub-protocol. A text that can't be a position
// counts as one that is not known: a client is told that it missed something, and not refused.
func (h *head) readSince() string {
	since, _, ok := queryValue(h.query, "since")
	if ok && len(since) == 0 {
		since = h.since.value
	}
	switch {
	case ok && len(since) == 0:
		return ""
	case !ok || !position.Valid(since):
		return UnknownPosition
	}
	return string(since)
}

// readHello reads whether the client wants to know the id of its connection, and which it had before: a parameter of the query, or
// a sub-protocol.
func (h *head) readHello() (wanted bool, id string) {
	value, count, ok := queryValue(h.query, "hello")
	if count == 0 {
		wanted, value, ok = h.hello, h.helloID, true
	}
	if !ok || !position.Valid(value) { // an id is in letters that a position may have, too
		value = nil
	}
	return wanted || count > 0, string(value)
}

// UnknownPosition is [Request.Since] for a client that said something else than a position.
const UnknownPosition = "-"

// bearerAlone reports whether a token came as a sub-protocol without one that can be
// answered: a browser would give the connection up without a word.
func (h *head) bearerAlone() bool { return h.bearers && !h.offersProtocol }

// Identify authenticates the client of an upgrade or an event stream, and fills in the request's User, Groups and Expires. now is the time to check
// the token against. It has to be called before the head's buffer is used again. It takes a few microseconds. A token that may be signed
// with a key pair takes longer to check: then Identify reports later, and nothing is decided.
// Then the request has a Priority, and [Request.Detach] and, on another goroutine than a loop, [Upgrader.Check] have to follow.
func (u *Upgrader) Identify(request *Request, now time.Time) (refusal *Refusal, later bool) {
	if request.Probe {
		return u.redeem(request), false
	}
	id, problem, priority, later := u.auth.Identify(request.credential, now)
	request.Priority = priority
	if later {
		return nil, true
	}
	return request.identified(id, problem), false
}

// Check authenticates the client where [Upgrader.Identify] left that for later. [auth.Authenticator.Check] says how long it takes.
func (u *Upgrader) Check(request *Request, now time.Time) *Refusal {
	return request.identified(u.auth.Check(request.credential, now))
}

func (r *Request) identified(id auth.Identity, problem *auth.Error) *Refusal {
	r.credential = nil
	if problem != nil {
		return refuseToken(problem)
	}
	r.User, r.Groups, r.Expires = id.User, id.Groups, id.Expires
	return nil
}

// redeem checks a ticket.
func (u *Upgrader) redeem(request *Request) *Refusal {
	user, ok := u.ticket(request.credential)
	request.credential = nil
	if !ok {
		request.Probe = false
		return refuseTicket
	}
	request.User = user
	return nil
}
