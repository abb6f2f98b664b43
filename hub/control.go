package hub

import (
	"errors"
	"slices"
	"sync/atomic"

	"roost/internal/names"
)

// Control does what a backend commands for user:
//
//   - {"disconnect":{"code":4403,"reason":"signed out"}} closes every connection of user that is admitted here, behind what
//     was delivered to it; nothing is delivered to it after. Both members may be absent.
//   - {"join":["room:42"],"leave":["lobby"]} has these connections leave groups and join others, see regroup.
//
// The first command disconnects a user, so a fault in it does not keep the user connected: wrong parts are replaced or ignored,
// and logged at a bounded rate; so it is with the second. Only a message without a command is counted as invalid, logged and left
// out.
//
// Any goroutine may call it; the one that calls Deliver keeps the order between both. It never waits for the connections of a
// disconnect; a change of groups with Config.Resume waits as Deliver does.
func (h *Hub) Control(user, payload string) {
	if IsProbe(user) {
		return
	}
	command, err := parseCommand(payload)
	if !names.ValidUser(user) {
		user, err = "", errCommandUser // a name can be as long as Redis lets it
	}
	if err != nil {
		h.stats.commandsInvalid.Add(1)
		h.commandLog.warnCommand("command skipped", user, err, len(payload))
		return
	}
	h.stats.commands.Add(1)
	if len(command.faults) > 0 {
		done := "command has faults; the rest of it is done"
		if command.disconnects {
			done = "command has faults; the user is disconnected all the same"
		}
		h.faultLog.warnCommand(done, user, errors.Join(command.faults...), len(payload))
	}
	if command.disconnects {
		h.disconnect(user, command)
		return
	}
	h.regroup(user, command.leave, command.join)
}

// disconnect closes the connections of a user.
func (h *Hub) disconnect(user string, command command) {
	hash := h.hash(user)
	only, several := h.shard(hash).collect(user, hash, &h.spareBatch)
	defer h.spareBatch.put(several)
	switch {
	case several != nil:
		// From the back: in a list that keeps its order each removal moves all that came later.
		for _, c := range slices.Backward(several.conns) {
			h.disconnectConn(c, command)
		}
	case only != nil:
		h.disconnectConn(only, command)
	}
}

// disconnectConn removes the connection first: its loop gets to the close later, and until then must be given nothing more.
func (h *Hub) disconnectConn(c Conn, command command) {
	id := h.removeAt(c)
	if command.code.Final() {
		id = "" // its client is to stay away
	}
	c.Disconnect(command.code, command.reason, id)
}

// removeAt removes a connection, and returns the position up to which it was handed everything; "" where that is not known.
func (h *Hub) removeAt(c Conn) (id string) {
	s, link := h.stream, c.HubLink()
	if s == nil {
		h.Remove(c)
		return ""
	}
	s.mu.Lock() // no notification of its user is counted in between
	defer s.mu.Unlock()
	mark := atomic.LoadUint32(&link.mark)
	p, ok := h.positionOf(link)
	h.remove(c)
	s.setPartial(link, false)
	// A broadcast's turn does not wait for stream.mu: it may have come in between.
	if ok && s.order.handing.Load() != link && atomic.LoadUint32(&link.mark) == mark {
		id = p.String()
	}
	return id
}
