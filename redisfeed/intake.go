package redisfeed

import (
	"sync"
	"time"
)

// intake is the way from a link to the sink. What one read brings is handed over under the turn, so that the sink has to
// do with one link at a time, and with whole batches.
type intake struct {
	sink    Sink
	arrival func(after time.Time) // Config.Arrived; may be nil
	turn    *sync.Mutex
	monitor *monitor
	excused func() bool // reports that the link can't be blamed for being silent; may be nil

	// Owned by the link's reader.

	has   bool // the turn
	woke  time.Time
	some  bool      // something was published in this batch
	after time.Time // what comes next was published after this
}

// arrived is called when a read has brought something.
func (in *intake) arrived() {
	if !in.has {
		in.turn.Lock()
		in.has = true
	}
	in.woke = time.Now()
	if in.arrival != nil {
		in.arrival(in.after)
	}
}

// message counts something published that is about to be handed over.
func (in *intake) message() {
	in.monitor.messages.Add(1)
	in.some = true
}

// flush is called when all of it is handed over.
func (in *intake) flush() {
	if !in.has {
		return
	}
	in.sink.Flush()
	if in.some {
		in.monitor.lastMessage.Store(in.woke.UnixNano())
		in.some = false
	}
	in.monitor.busy.Add(int64(time.Since(in.woke)))
	in.has = false
	in.turn.Unlock()
}
