package netpoll

import (
	"sync"
	"sync/atomic"
)

// taskList is what others want done on a loop. Any goroutine.
type taskList struct {
	waiting atomic.Bool // there is something in list

	mu   sync.Mutex
	list []func() // guarded by mu
}

func (t *taskList) add(fn func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, fn)
	t.waiting.Store(true)
}

// run does what waits, and calls between after each drainEvery of it: in a storm
// of handshakes many answers of the checkers wait. The loop only.
func (t *taskList) run(between func()) {
	if !t.waiting.Load() {
		return
	}
	t.mu.Lock()
	list := t.list
	t.list = nil
	t.waiting.Store(false)
	t.mu.Unlock()
	for i, fn := range list {
		if i > 0 && i%mailEvery == 0 {
			between()
		}
		fn()
	}
}

// do has fn run on the loop, soon. After the loop has ended it never runs. Any
// goroutine.
func (l *loop) do(fn func()) {
	l.tasks.add(fn)
	l.poll.wake()
}
