package sendqueue

import (
	"sync/atomic"

	"roost/hub"
)

// The bytes that a waiting notification costs beside its frame.
const (
	NotificationCost = 64 // the hub.Notification
	PlaceCost        = 16 // a pointer to it, in a slice that grows by doubling
)

// frameMemory is how many bytes of memory a notification's frame takes: a whole frame as long as a part of it waits, and what
// the allocator gives in addition, up to an eighth.
func frameMemory(n *hub.Notification) int { return cap(n.Frame) }

// Memory counts what waits for clients that the kernel takes no more for, in
// all loops together. A notification that waits for many of them is in memory once,
// and counted once. Any goroutine.
type Memory struct {
	bytes  atomic.Int64
	places atomic.Int64 // notification × connection
}

// Bytes returns how much that is, and Places for how many connections it waits, counted
// for each notification.
func (m *Memory) Bytes() int  { return int(m.bytes.Load()) }
func (m *Memory) Places() int { return int(m.places.Load()) }

// hold counts a notification that waits in one more place.
func (m *Memory) hold(n *hub.Notification) {
	bytes := PlaceCost
	if n.Hold() {
		bytes += frameMemory(n) + NotificationCost
	}
	m.bytes.Add(int64(bytes))
	m.places.Add(1)
}

// release ends that.
func (m *Memory) release(n *hub.Notification) {
	bytes := PlaceCost
	if n.Release() {
		bytes += frameMemory(n) + NotificationCost
	}
	m.bytes.Add(-int64(bytes))
	m.places.Add(-1)
}

// With returns how much would be counted if n waited in one more place.
func (m *Memory) With(n *hub.Notification) int {
	bytes := int(m.bytes.Load()) + PlaceCost
	if !n.Held() {
		bytes += frameMemory(n) + NotificationCost
	}
	return bytes
}
