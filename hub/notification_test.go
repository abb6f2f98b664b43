package hub

import (
	"testing"
	"unsafe"

	"roost/wsproto"
)

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

// The size decides what every notification for a user who is here costs.
func TestNotificationIsSmall(t *testing.T) {
	const want = 64
	if got := unsafe.Sizeof(Notification{}); got > want {
		t.Errorf("a notification has %d bytes, more than %d", got, want)
	}
}

// All connections that get events share one, built for the first of them.
func TestEventStream(t *testing.T) {
	t.Parallel()
	n := &Notification{Frame: append(wsproto.AppendTextHeader(nil, 7), `{"a":1}`...), Arrived: 5, After: 6}
	event := n.EventStream()
	if got := string(event.Frame); got != "data: {\"a\":1}\n\n" || event.Arrived != 5 || event.After != 6 {
		t.Errorf("the event is %q of %v, after %v", got, event.Arrived, event.After)
	}
	if n.EventStream() != event {
		t.Error("the second connection gets an event of its own")
	}
	if !n.Hold() || !event.Hold() {
		t.Error("frame and event are not memory of their own")
	}
}

// The notifications of a broadcast differ, for when its turn came and for traces; their bytes are there once.
func TestEventStreamOfBroadcast(t *testing.T) {
	t.Parallel()
	b := &broadcast{frame: append(wsproto.AppendTextHeader(nil, 2), `{}`...)}
	trace := &Trace{}
	one, two := b.notification(1, nil), b.notification(2, trace)
	first, second, third := one.EventStream(), two.EventStream(), one.EventStream()
	if first.Arrived != 1 || second.Arrived != 2 || second.Trace != trace || third.Trace != nil {
		t.Errorf("events are of %v, %v and %v", first.Arrived, second.Arrived, third.Arrived)
	}
	if &first.Frame[0] != &second.Frame[0] || &first.Frame[0] != &third.Frame[0] {
		t.Error("the event was built more than once")
	}
	if !first.Hold() || second.Hold() || third.Hold() || !one.Hold() {
		t.Error("the event counts more than once, or with the frame")
	}
}
