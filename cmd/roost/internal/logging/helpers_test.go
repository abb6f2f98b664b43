package logging

import (
	"bytes"
	"os"
	"sync"
	"testing"
	"time"
)

// soon is long enough for anything that happens at all, on a busy machine too.
const soon = time.Minute

// lockedBuffer is a writer that can be read while a log writes to it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
	err error // what Write returns, after the first few bytes
	few int
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		n, _ := b.buf.Write(p[:min(b.few, len(p))])
		return n, b.err
	}
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *lockedBuffer) fail(few int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.few, b.err = few, err
}

// gate is a writer that stops in every Write until it is opened.
type gate struct {
	lockedBuffer
	entered chan struct{} // one value a Write that has begun
	open    chan struct{} // closed: Writes go through
}

func newGate() *gate { return &gate{entered: make(chan struct{}, 1000), open: make(chan struct{})} }

func (g *gate) Write(p []byte) (int, error) {
	g.entered <- struct{}{}
	<-g.open
	return g.lockedBuffer.Write(p)
}

func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(soon):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// await looks at cond until it holds.
func await(t *testing.T, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(soon); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen")
		}
	}
}

func closeLog(t *testing.T, l *Log) {
	t.Helper()
	if err := l.Close(soon); err != nil {
		t.Error(err)
	}
}

// pipe is a standard output that nobody reads until the test does.
func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	return r, w
}
