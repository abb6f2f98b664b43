package hub

import "time"

// Clock is the time since the hub was made: the clock of Notification.Arrived. Any
// goroutine.
func (h *Hub) Clock() time.Duration { return time.Since(h.started) }

// Arrived notes that what is handed to Deliver from now on, until it is called
// again, has just come from Redis, and was published after a time, by the clock on the
// wall; the zero time where that is not known. That is one reading of the clock for a
// whole batch, so that the time that notifications wait for each other counts. Who never
// calls it has each arrive with Deliver. The goroutine that calls Deliver.
func (h *Hub) Arrived(after time.Time) {
	h.arrived.Store(int64(h.Clock()))
	if after.IsZero() {
		h.after.Store(0)
		return
	}
	h.after.Store(after.UnixMilli())
}

// arrival is when the notification that is delivered now came.
func (h *Hub) arrival() time.Duration {
	if at := h.arrived.Load(); at != 0 {
		return time.Duration(at)
	}
	return h.Clock()
}
