package netpoll

import (
	"testing"

	"golang.org/x/sys/unix"

	"roost/hub"
)

// What was delivered to a connection before it was replaced leaves before its last
// words, also while it is still in the loop's mailbox.
func TestReplacedConnectionGetsWhatWasDelivered(t *testing.T) {
	t.Parallel()
	l := sleeper(t)
	c, client := l.connect(t)
	for range 3 {
		c.Deliver(&hub.Notification{Frame: []byte("abc")})
	}
	c.Replaced()
	l.asleep = false
	l.handle(nil) // the loop wakes, and does what others want before it looks into its mailbox
	got := make([]byte, 100)
	n, err := unix.Read(client, got)
	if want := "abcabcabc\x88\x2d\x11\x4dreplaced by a newer connection"; err != nil || len(want) > n || string(got[:len(want)]) != want {
		t.Errorf("the client got %q, %v, want %q", got[:max(n, 0)], err, want)
	}
	if sent := l.stats.sent.Load(); sent != 3 {
		t.Errorf("%d deliveries are counted as sent, want 3", sent)
	}
}
