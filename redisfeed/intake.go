package redisfeed

import (
	"sync"
	"sync/atomic"
	"time"
)

// intake is the way from a link to the sink. What one read brings is handed over under the turn, so that the sink has to
// do with one link at a time, and with whole batches.
type intake struct {
	sink    Sink
	arrival func(after time.Time) // Config.Arrived; may be nil
	turn    *sync.Mutex
	busy    *atomic.Int64
	excused func() bool // reports that the link can't be blamed for being silent; may be nil

	// Owned by the link's reader.

	has   bool // the turn
	woke  time.Time
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

// flush is called when all of it is handed over.
func (in *intake) flush() {
	if !in.has {
		return
	}
	in.sink.Flush()
	in.busy.Add(int64(time.Since(in.woke)))
	in.has = false
	in.turn.Unlock()
}
