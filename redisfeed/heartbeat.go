package redisfeed

import (
	"context"
	"crypto/rand"
	"strconv"
	"sync/atomic"
	"time"

	"roost/redisfeed/internal/boottime"
)

// heartbeatPrefix begins the name of each feed's own channel.
const heartbeatPrefix = "roost:heartbeat:"

// heartbeat publishes stamps on a channel of its own and measures how long they take to come back to the reader.
type heartbeat struct {
	channel   string // static
	interval  time.Duration
	connected chan struct{} // capacity 1: the reader asks for a beat now

	// starved says that this host lacked descriptors or memory for the latest beat, which proves nothing by not coming back.
	// The beats' goroutine writes it.
	starved atomic.Bool
}

func newHeartbeat(interval time.Duration) *heartbeat {
	return &heartbeat{
		channel:   heartbeatPrefix + rand.Text(), // 128 random bits: no other instance listens here
		interval:  interval,
		connected: make(chan struct{}, 1),
	}
}

// soon asks for a beat without waiting for the interval, so that a new link has its ping at once.
func (h *heartbeat) soon() {
	signal(h.connected)
}

// run calls beat every interval, and when soon asks for it, until ctx ends.
func (h *heartbeat) run(ctx context.Context, beat func(context.Context)) {
	tick := time.NewTicker(h.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-h.connected:
		}
		beat(ctx)
	}
}

// stamp is the payload of a beat, or of a PING, that is sent at an instant.
func stamp(sent boottime.Instant) string { return strconv.FormatInt(int64(sent), 10) }

// readStamp reads one that came back at now. It is false for what cannot be a stamp of ours.
func readStamp(payload string, now boottime.Instant) (sent boottime.Instant, ok bool) {
	n, err := strconv.ParseInt(payload, 10, 64)
	sent = boottime.Instant(n)
	return sent, err == nil && sent > 0 && sent <= now
}
