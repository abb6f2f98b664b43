package redistest

import "fmt"

// OpenSlot begins to move a slot to another master and leaves it so: importing there, migrating at its owner, whom it
// returns.
func (c *Cluster) OpenSlot(slot int, to *Server) (from *Server) {
	c.t.Helper()
	from = c.Owner(slot)
	to.cluster("SETSLOT", slot, "IMPORTING", from.clusterID())
	from.cluster("SETSLOT", slot, "MIGRATING", to.clusterID())
	return from
}

// MoveSlot makes another master the owner of a slot, which may have been opened to it, and waits until all nodes that
// run know. Keys are not moved: with any in the slot Redis refuses, and the test fails.
func (c *Cluster) MoveSlot(slot int, to *Server) {
	c.t.Helper()
	if c.Owner(slot) == to {
		return
	}
	from := c.OpenSlot(slot, to)
	// The new owner first: were the old one to learn of it while the new one does not know itself, nobody would own
	// the slot for a moment, and two nodes would send a client back and forth.
	for _, s := range append([]*Server{to, from}, c.Masters()...) { // again for the two, which does no harm
		if s.runs() {
			s.cluster("SETSLOT", slot, "NODE", to.clusterID())
		}
	}
	c.AwaitSlot(slot, to)
}

// AwaitSlot waits until all nodes that run agree that s owns the slot.
func (c *Cluster) AwaitSlot(slot int, s *Server) {
	c.t.Helper()
	await(c.t, fmt.Sprintf("slot %d to be of %s", slot, s.Addr()), func() error {
		v, err := c.agreed()
		if n := v.owner(slot); err == nil && (n == nil || n.addr != s.Addr()) {
			err = fmt.Errorf("roles are\n%s", v.roles())
		}
		return err
	})
}
