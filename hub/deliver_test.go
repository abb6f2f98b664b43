package hub

import (
	"testing"
	"time"
)

// keeper keeps the notifications that it is handed.
type keeper struct {
	fakeConn
	kept []*Notification
}

func (k *keeper) Deliver(n *Notification) { k.kept = append(k.kept, n) }

func TestArrivedCarriesWhenItWasPublished(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	c := new(keeper)
	if _, _, err := h.Admit(c, "alice"); err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Time{time.UnixMilli(1234), {}} {
		h.Arrived(after)
		h.Deliver("alice", numbered(1))
		want := after.UnixMilli()
		if after.IsZero() {
			want = 0
		}
		if n := c.kept[len(c.kept)-1]; n.After != want || n.Arrived <= 0 || n.Arrived > h.Clock() {
			t.Errorf("after %d, arrived at %s; want after %d", n.After, n.Arrived, want)
		}
	}
}
