package hub

// crowd is the connections of a user who has more than one. It is guarded by
// the lock of the user's shard.
type crowd struct {
	conns []Conn
}

// HubLink implements entry: each member's link bears the user's name.
func (c *crowd) HubLink() *Link { return c.conns[0].HubLink() }

// join takes in a connection.
func (c *crowd) join(conn Conn) {
	c.conns = append(c.conns, conn)
	conn.HubLink().seat = int32(len(c.conns))
}

// leave lets a member go. The last one takes over its seat; where the order
// counts, all that came later move up instead, and the oldest stays the first.
func (c *crowd) leave(link *Link, ordered bool) {
	end := len(c.conns) - 1
	if ordered {
		for i := int(link.seat); i <= end; i++ {
			c.conns[i-1] = c.conns[i]
			c.conns[i-1].HubLink().seat = int32(i)
		}
	} else {
		last := c.conns[end]
		c.conns[link.seat-1] = last
		last.HubLink().seat = link.seat
	}
	link.seat = 0
	c.conns[end] = nil
	c.conns = c.conns[:end]
	if cap(c.conns) > maxSpare && len(c.conns) < cap(c.conns)/4 {
		c.conns = append(make([]Conn, 0, 2*len(c.conns)), c.conns...)
	}
}

// maxSpare bounds, in connections, the crowds that a shard keeps for the next
// user who needs one.
const maxSpare = 4

// crowdAt returns the crowd in a slot, and makes one of a single connection.
// The caller holds s.mu.
func (s *shard) crowdAt(slot int) *crowd {
	if c, ok := s.users.slots[slot].(*crowd); ok {
		return c
	}
	c := s.spare
	if s.spare = nil; c == nil {
		c = &crowd{conns: make([]Conn, 0, 2)}
	}
	c.join(s.users.slots[slot].(Conn))
	s.users.slots[slot] = c
	return c
}

// disband leaves the one remaining member of c alone in its slot. The caller
// holds s.mu.
func (s *shard) disband(c *crowd, slot int) {
	s.users.slots[slot] = c.conns[0]
	if cap(c.conns) > maxSpare {
		return
	}
	c.conns[0] = nil
	c.conns = c.conns[:0]
	s.spare = c
}
