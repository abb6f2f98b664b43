package hub

import (
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
)

// A client that asks for it learns the id of its connection, which a backend can name in "only" and "except" of a notification. Only
// connections whose clients asked have one: it is kept in the shard of their user, and others pay nothing for it.

// connID names a connection among those of all instances: at random, so that nobody has to be asked. 0 is none.
type connID uint64

const connIDSize = 11 // of the text: 64 bits in base64url

// String returns the id as clients and backends get it.
func (id connID) String() string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(id))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// parseConnID reads what String wrote.
func parseConnID(text string) (id connID, ok bool) {
	if len(text) != connIDSize {
		return 0, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return 0, false
	}
	id = connID(binary.BigEndian.Uint64(b))
	return id, id != 0
}

func newConnID() connID {
	for {
		if id := connID(rand.Uint64()); id != 0 {
			return id
		}
	}
}

// idOf returns the id of a connection, 0 for one that has none, or is not admitted. Any goroutine.
func (h *Hub) idOf(c Conn) connID {
	link := c.HubLink()
	s := h.shard(h.hash(link.user))
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids.Get(link)
}

// ConnectionID returns the id of a connection as clients and backends get it, "" for one that has none. Any goroutine.
func (h *Hub) ConnectionID(c Conn) string {
	if id := h.idOf(c); id != 0 {
		return id.String()
	}
	return ""
}

// setID gives a connection an id, which a connection of the same user that is still there loses. It reports whether the
// connection is admitted.
func (h *Hub) setID(c Conn, id connID) bool {
	link := c.HubLink()
	s := h.shard(h.hash(link.user))
	s.mu.Lock()
	defer s.mu.Unlock()
	if link.seat == 0 {
		return false
	}
	for _, other := range s.connsOf(link.user, h.hash(link.user)) {
		if s.ids.Get(other.HubLink()) == id {
			s.ids.Delete(other.HubLink())
		}
	}
	s.ids.Put(link, id)
	return true
}

// greet gives the connection of an arrival that asked for it an id: that of the connection before, if it names one.
func (h *Hub) greet(c Conn, a *Arrival) string {
	if !a.WantsID {
		return ""
	}
	id, ok := parseConnID(a.Connection)
	if !ok {
		id = newConnID()
	}
	if !h.setID(c, id) {
		return ""
	}
	return id.String()
}
