package netpoll

import (
	"sync/atomic"

	"roost/hub"
)

// What a notification that waits costs beside its frame, in bytes.
const (
	notificationCost = 80 // the hub.Notification, and what the allocator rounds up
	placeCost        = 16 // a pointer to it, in a slice that grows by doubling
)

// queueMemory counts what waits for clients that the kernel takes no more for, in
// all loops together. A notification that waits for many of them is in memory once,
// and counted once. Any goroutine.
type queueMemory struct {
	bytes  atomic.Int64
	places atomic.Int64 // notification × connection
}

// hold counts a notification that waits in one more place.
func (m *queueMemory) hold(n *hub.Notification) {
	bytes := placeCost
	if n.Hold() {
		bytes += len(n.Frame) + notificationCost
	}
	m.bytes.Add(int64(bytes))
	m.places.Add(1)
}

// release ends that.
func (m *queueMemory) release(n *hub.Notification) {
	bytes := placeCost
	if n.Release() {
		bytes += len(n.Frame) + notificationCost
	}
	m.bytes.Add(-int64(bytes))
	m.places.Add(-1)
}

// with returns how much would be counted if n waited in one more place.
func (m *queueMemory) with(n *hub.Notification) int {
	bytes := int(m.bytes.Load()) + placeCost
	if !n.Held() {
		bytes += len(n.Frame) + notificationCost
	}
	return bytes
}
