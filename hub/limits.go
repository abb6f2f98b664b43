package hub

import "cmp"

// SetLimits replaces the limits, for what comes from now on: connections that are admitted stay, also where a limit is
// lower than their number now. Where ReplaceOldest begins to hold, the oldest of a user's connections is known only
// among those that came since: of those from before, any may be taken for it. Any goroutine; it waits for nothing.
func (h *Hub) SetLimits(limits Limits) {
	h.limits.Store(&limits)
	h.broadcasts.limit(cmp.Or(limits.MaxBroadcastBytes, defaultBroadcastBytes))
}
