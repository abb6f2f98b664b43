package netpoll

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// A client that is to be closed because it lost something gets what it had a part of,
// the close frame, and nothing else. It is called slow only if it is.
func TestLossClosesWhereItShall(t *testing.T) {
	t.Parallel()
	for reason, tt := range map[string]struct {
		rules Rules
		code  string
	}{
		"slow_consumer": {Rules{QueueBytes: 1 << 30, QueueMessages: 20}, "\x11\x38"}, // 4408
		"queue_full":    {Rules{QueueBytes: 20 * 20_200}, "\x11\x9b"},                // 4507
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			r := start(t, func(c *Config) {
				c.QueueBytes, c.QueueMessages, c.CloseSlow = tt.rules.QueueBytes, tt.rules.QueueMessages, true
			})
			r.closesAfterLoss(reason, tt.code)
		})
	}
}

// closesAfterLoss delivers to a client that reads nothing until it has lost something,
// and checks how it ends.
func (r *rig) closesAfterLoss(reason, code string) {
	t := r.t
	slow, quick := r.upgrade("slow"), r.connect("quick")
	padding := strings.Repeat("x", 20_000)
	eventually(t, "the connection is ended", func() bool {
		r.deliver("slow", `{"type":"n","payload":"`+padding+`"}`)
		return r.hub.ConnectionsOf("slow") == 0
	})
	if s := r.server.Stats(); s.Ended[reason] != 1 || s.Queued > 1 {
		t.Errorf("ended %v, %d are queued; want one %s and 1 at most, a part of which is sent", s.Ended, s.Queued, reason)
	}
	r.deliver("quick", `{"type":"still quick"}`)
	if _, _, err := quick.ReadMessage(); err != nil {
		t.Fatalf("another client suffers: %v", err)
	}

	frames := 0
	opcode, payload := slow.readFrame(t)
	for ; opcode == 0x81; opcode, payload = slow.readFrame(t) {
		frames++
	}
	if opcode != 0x88 || string(payload[:2]) != code {
		t.Fatalf("after %d frames: %x % x, want a close frame with % x", frames, opcode, payload, code)
	}
	if rest, err := io.ReadAll(slow.r); len(rest) > 0 || err != nil {
		t.Errorf("after the close frame came %d bytes, %v", len(rest), err)
	}
	eventually(t, "all is accounted for", func() bool { s := r.server.Stats(); return s.Waiting == 0 && s.QueuedBytes == 0 })
	s := r.server.Stats()
	// A write of one frame can take the kernel's room in two parts, of which the client sees one frame.
	if s.Sent != uint64(frames)+1 || s.Failed[reason] != 1 || s.Failed["connection_closed"] == 0 {
		t.Errorf("the client saw %d frames; sent %d (one to another), failed %v", frames, s.Sent, s.Failed)
	}
	r.balanced()
}

// The queues of all connections together are bounded, and a client that reads
// feels nothing of it.
func TestQueuesOfAllConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	const total = 1 << 20
	r := start(t, func(c *Config) { c.QueueTotal = total })
	for i := range 8 {
		r.upgrade(fmt.Sprint("slow", i))
	}
	quick := r.connect("quick")
	padding := strings.Repeat("x", 50_000)
	eventually(t, "notifications are dropped for every slow one", func() bool {
		for i := range 8 {
			r.deliver(fmt.Sprint("slow", i), `{"type":"n","payload":"`+padding+`"}`)
		}
		if queued := r.server.Stats().QueuedBytes; queued > total+8*len(padding)*2 {
			t.Fatalf("%d bytes are queued", queued)
		}
		return r.server.Stats().Failed["queues_full"] > 100
	})
	for i := range 100 {
		r.deliver("quick", `{"type":"still quick","payload":"`+padding+`"}`)
		if _, _, err := quick.ReadMessage(); err != nil {
			t.Fatalf("after %d another client suffers: %v", i, err)
		}
	}
	if full := r.server.Stats().Failed["queue_full"]; full != 0 {
		t.Errorf("%d were dropped because of one connection's bound, which was not reached", full)
	}
	r.balanced()
}
