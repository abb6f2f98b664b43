package hub

// Hold says that n waits in one more place, and reports whether Frame waited
// nowhere else before: then it is memory that was not there yet. Any goroutine.
func (n *Notification) Hold() (first bool) { return n.holder().held.Add(1) == 1 }

// Release says that n waits in one place less, after Hold, and reports whether
// Frame waits nowhere now. Any goroutine.
func (n *Notification) Release() (last bool) { return n.holder().held.Add(-1) == 0 }

// Held reports whether Frame waits anywhere. Any goroutine.
func (n *Notification) Held() bool { return n.holder().held.Load() > 0 }

func (n *Notification) holder() *Notification {
	if n.sharer != nil {
		return n.sharer
	}
	return n
}
