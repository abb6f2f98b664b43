package hub

import "testing"

// A frame that several notifications share waits where any of them does.
func TestHold(t *testing.T) {
	t.Parallel()
	b := &broadcast{frame: []byte("frame")}
	one, two, three := b.notification(1, nil), b.notification(2, nil), b.notification(3, nil)
	for i, n := range []*Notification{one, two, two, three} {
		if first := n.Hold(); first != (i == 0) {
			t.Errorf("hold %d: first is %v", i, first)
		}
	}
	for i, n := range []*Notification{three, one, two, two} {
		if !one.Held() || !three.Held() {
			t.Errorf("before release %d it is not held", i)
		}
		if last := n.Release(); last != (i == 3) {
			t.Errorf("release %d: last is %v", i, last)
		}
	}
	if two.Held() {
		t.Error("it is held after all have let go")
	}
}
