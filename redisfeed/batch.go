package redisfeed

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// batcher hands what one read brings to the sink with the sink's lock held, so that the sink gets whole batches, of one link
// at a time.
type batcher struct {
	sink    Sink
	arrival func(after time.Time) // Config.Arrived; may be nil
	sinkMu  *sync.Mutex
	monitor *monitor
	excused func() bool // reports that silence proves nothing, as no heartbeat could be sent; may be nil
	freeze  *freeze

	// Owned by the link's reader.

	locked bool // sinkMu is held
	woke   time.Time
	some   bool      // something was published in this batch
	after  time.Time // what comes next was published after this
}

// enter takes the sink's lock before a read, see link.await. It fails once another process has the link.
func (in *batcher) enter() error {
	in.sinkMu.Lock()
	if in.freeze.released.Load() {
		in.sinkMu.Unlock()
		return errReleased
	}
	in.locked, in.woke = true, time.Now()
	return nil
}

// arrived is called when a read has brought something.
func (in *batcher) arrived() {
	if !in.locked {
		in.sinkMu.Lock()
		in.locked = true
	}
	in.woke = time.Now()
	if in.arrival != nil {
		in.arrival(in.after)
	}
}

// message counts something published that is about to be handed over.
func (in *batcher) message() {
	in.monitor.messages.Add(1)
	in.some = true
}

// flush is called when all of it is handed over.
func (in *batcher) flush() {
	if !in.locked {
		return
	}
	in.sink.Flush()
	if in.some {
		in.monitor.lastMessage.Store(in.woke.UnixNano())
		in.some = false
	}
	in.monitor.busy.Add(int64(time.Since(in.woke)))
	in.locked = false
	in.sinkMu.Unlock()
}

// pace keeps two reads at least a window apart, so that what comes within it is one batch. A message that comes after a
// while of silence waits for nothing, and neither does what did not fit into a read. It is a plain value of the reader.
type pace struct {
	window time.Duration // 0: none
	sleep  func(time.Duration)
	last   time.Time // when a read returned that was not full
}

// wait is called before a read.
func (p *pace) wait() {
	if p.window <= 0 {
		return
	}
	if wait := p.window - time.Since(p.last); wait > 0 {
		p.sleep(wait)
	}
}

// read is called after one. full says that there is more: to wait would be to fall behind.
func (p *pace) read(full bool) {
	switch {
	case p.window <= 0:
	case full:
		p.last = time.Time{}
	default:
		p.last = time.Now()
	}
}

// sleepOnThread sleeps to the tenth of a millisecond, where Go's timers, when nothing else goes on, count whole ones.
func sleepOnThread(d time.Duration) {
	t := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.Nanosleep(&t, nil)
}
