package sendqueue

import (
	"testing"

	"roost/hub"
)

// A notification that waits in many queues is one piece of memory.
func TestQueueMemoryCountsOnce(t *testing.T) {
	t.Parallel()
	const queues, frame = 300, 10_000
	var memory Memory
	var all [queues]Queue
	n := &hub.Notification{Frame: make([]byte, frame)}
	if got, want := memory.With(n), frame+NotificationCost+PlaceCost; got != want {
		t.Errorf("the first would make it %d, want %d", got, want)
	}
	for i := range all {
		all[i].Push(n)
		all[i].CountIn(&memory)
	}
	want := frame + NotificationCost + queues*PlaceCost
	if got := int(memory.bytes.Load()); got != want {
		t.Errorf("%d bytes for one frame in %d queues, want %d", got, queues, want)
	}
	if got := memory.With(n); got != want+PlaceCost {
		t.Errorf("one more would make it %d, want %d", got, want+PlaceCost)
	}
	for i := range all {
		all[i].DropAll("closed")
		if left := int(memory.bytes.Load()); (left > frame) != (i < queues-1) {
			t.Errorf("%d bytes while it waits in %d", left, queues-1-i)
		}
	}
	if memory.bytes.Load() != 0 || memory.places.Load() != 0 {
		t.Errorf("%d bytes, %d places are left", memory.bytes.Load(), memory.places.Load())
	}
}
