package hub

import "time"

// Clock is the time since the hub was made: the clock of Notification.Arrived. Any
// goroutine.
func (h *Hub) Clock() time.Duration { return time.Since(h.started) }

// Arrived notes that what is handed to Deliver from now on, until it is called
// again, has just come from Redis: one reading of the clock for a whole batch, so that
// the time that notifications wait for each other counts. Who never calls it has each
// arrive with Deliver. The goroutine that calls Deliver.
func (h *Hub) Arrived() { h.arrived.Store(int64(h.Clock())) }

// arrival is when the notification that is delivered now came.
func (h *Hub) arrival() time.Duration {
	if at := h.arrived.Load(); at != 0 {
		return time.Duration(at)
	}
	return h.Clock()
}
