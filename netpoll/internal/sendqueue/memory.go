package sendqueue

import (
	"sync/atomic"

	"roost/hub"
)

// What a notification that waits costs beside its frame, in bytes.
const (
	NotificationCost = 80 // the hub.Notification, and what the allocator rounds up
	PlaceCost        = 16 // a pointer to it, in a slice that grows by doubling
)

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
		bytes += len(n.Frame) + NotificationCost
	}
	m.bytes.Add(int64(bytes))
	m.places.Add(1)
}

// release ends that.
func (m *Memory) release(n *hub.Notification) {
	bytes := PlaceCost
	if n.Release() {
		bytes += len(n.Frame) + NotificationCost
	}
	m.bytes.Add(-int64(bytes))
	m.places.Add(-1)
}

// With returns how much would be counted if n waited in one more place.
func (m *Memory) With(n *hub.Notification) int {
	bytes := int(m.bytes.Load()) + PlaceCost
	if !n.Held() {
		bytes += len(n.Frame) + NotificationCost
	}
	return bytes
}
