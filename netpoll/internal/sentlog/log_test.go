package sentlog

import (
	"slices"
	"testing"
	"time"

	"roost/hub"
	"roost/netpoll/internal/meter"
)

// Notifications that left with one write are counted with their delays, and those that the client has not acknowledged are
// told apart by their last byte.
func TestLog(t *testing.T) {
	t.Parallel()
	bounds := []time.Duration{time.Millisecond, time.Second}
	log := New(time.Minute, bounds)
	log.Open(5, 0)
	first, second := &hub.Notification{Arrived: 10 * time.Millisecond}, &hub.Notification{Arrived: 10 * time.Millisecond}
	third := &hub.Notification{Arrived: time.Second}
	log.BeginWrite(5, 300, 10500*time.Microsecond)
	log.Note(first, 200) // its last byte is the 100th
	log.Note(second, 0)  // the 300th
	log.EndWrite()
	log.BeginWrite(5, 400, 4*time.Second)
	log.Note(third, 0)
	log.EndWrite()

	var sum meter.Counts
	log.AddDelays(&sum)
	if !slices.Equal(sum.Counts, []uint64{2, 0, 1}) {
		t.Errorf("delays: %+v, want two of half a millisecond and one of three seconds", sum)
	}
	if n, all := log.Close(5, 300); n != 1 || !all {
		t.Errorf("%d not acknowledged behind byte 300 (all: %v), want the third", n, all)
	}
	if n, _ := log.Close(5, 99); n != 3 {
		t.Errorf("%d not acknowledged behind byte 99, want 3", n)
	}
}

// The server's own health checks have no log.
func TestNoLog(t *testing.T) {
	t.Parallel()
	var log *Log
	log.Note(&hub.Notification{}, 0)
}

// Of notifications that are watched the log tells which were not acknowledged, however many others it has seen.
func TestTracedAreTold(t *testing.T) {
	t.Parallel()
	h := hub.New(hub.Config{})
	h.Watch("alice")
	log := New(time.Minute, []time.Duration{time.Second})
	log.Open(7, 0)
	written := uint32(0)
	for range keptTraced + 3 {
		written += 10
		log.BeginWrite(7, written, 0)
		log.Note(&hub.Notification{Trace: h.NewTrace("alice", 10)}, 0)
		log.EndWrite()
	}
	log.BeginWrite(8, 10, 0)
	log.Note(&hub.Notification{Trace: h.NewTrace("alice", 10)}, 0)
	log.EndWrite()
	if n, _ := log.Close(7, written-20); n != 2 {
		t.Errorf("%d not acknowledged, want 2", n)
	}
	told := 0
	for _, seen := range h.Watch("alice").Latest {
		told += seen.Unacknowledged
	}
	if told != 2 || len(log.traced) != 1 {
		t.Errorf("%d traces say that they were not acknowledged, want 2; %d are kept, want that of the other connection", told, len(log.traced))
	}
}
