package redisfeed

import (
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

// scriptedConn gives what it is told, one piece a read, and notes when it was asked.
type scriptedConn struct {
	net.Conn
	pieces []string
	asked  func()
}

func (c *scriptedConn) Read(b []byte) (int, error) {
	c.asked()
	if len(c.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.pieces[0])
	c.pieces = c.pieces[1:]
	return n, nil
}

func TestBatchConnPaces(t *testing.T) {
	t.Parallel()
	const full = "12345678" // as many as a read has room for
	tests := map[string]struct {
		window time.Duration
		pieces []string
		work   time.Duration // between two reads
		want   []time.Duration
	}{
		"no window":                  {0, []string{"a", "b", "c"}, 0, []time.Duration{0, 0, 0}},
		"a window":                   {10, []string{"a", "b", "c"}, 0, []time.Duration{0, 10, 20}},
		"work counts":                {10, []string{"a", "b", "c"}, 4, []time.Duration{0, 10, 20}},
		"more work than window":      {10, []string{"a", "b", "c"}, 15, []time.Duration{0, 15, 30}},
		"full reads are not held up": {10, []string{full, full, "c", "d"}, 0, []time.Duration{0, 0, 0, 10}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var asked, flushed []time.Duration
				conn := &batchConn{
					Conn:   &scriptedConn{pieces: tt.pieces, asked: func() { asked = append(asked, time.Since(start)) }},
					flush:  func() { flushed = append(flushed, time.Since(start)) },
					window: tt.window, sleep: time.Sleep,
				}
				for range tt.pieces {
					if _, err := conn.Read(make([]byte, len(full))); err != nil {
						t.Fatal(err)
					}
					time.Sleep(tt.work) // the bubble's time
				}
				if !slices.Equal(asked, tt.want) {
					t.Errorf("reads at %v, want %v", asked, tt.want)
				}
				for i, at := range flushed {
					if at > asked[i] || i > 0 && at != asked[i-1]+tt.work {
						t.Errorf("flushed at %v, reads at %v: want it before the window", flushed, asked)
					}
				}
			})
		})
	}
}

// A piece of two notifications is one batch.
func TestFlushOnceABatch(t *testing.T) {
	t.Parallel()
	fake := fakeRedis{after: func(int) string { return goodMessage + goodMessage }}
	fake.start(t)
	sink := &flushCounter{flushed: make(chan int, 100)}
	run(t, quick(fake.addr), sink)
	redistest.WaitFor(t, "both in one batch", func() bool {
		select {
		case n := <-sink.flushed:
			return n == 2
		default:
			return false
		}
	})
}

// What came before a reply that ends the link is flushed, though nothing more is read on it.
func TestFlushBeforeTheLinkEnds(t *testing.T) {
	t.Parallel()
	for _, reply := range []string{"*0\r\n", confirmed("punsubscribe", pattern)} {
		fake := fakeRedis{after: func(n int) string {
			if n == 1 {
				return goodMessage + reply
			}
			return "" // and says nothing any more
		}}
		fake.start(t)
		cfg := quick(fake.addr)
		sink := &flushCounter{flushed: make(chan int, 100)}
		feed := run(t, cfg, sink)
		redistest.WaitFor(t, "the flush", func() bool {
			select {
			case n := <-sink.flushed:
				return n == 1
			default:
				return false
			}
		})
		redistest.WaitFor(t, "the next link", func() bool { return feed.Status().Reconnects == 1 })
		if n := feed.Status().Messages; n != 1 {
			t.Errorf("%d messages, want 1", n)
		}
	}
}

// flushCounter is a Sink that says of each Flush how many notifications it was for. One goroutine calls it.
type flushCounter struct {
	waiting int
	flushed chan int
}

func (c *flushCounter) Deliver(string, string)      { c.waiting++ }
func (c *flushCounter) Control(string, string)      {}
func (c *flushCounter) Broadcast(string)            {}
func (c *flushCounter) DeliverGroup(string, string) {}

func (c *flushCounter) Flush() {
	select {
	case c.flushed <- c.waiting:
	default:
	}
	c.waiting = 0
}

// A bug of the sink's is not taken for one of Redis's.
func TestGuardLetsPanicsOfTheSinkThrough(t *testing.T) {
	t.Parallel()
	l := &link{ctx: t.Context(), inSink: true}
	defer func() {
		if p := recover(); p != "a bug" {
			t.Errorf("recovered %v", p)
		}
	}()
	_ = l.guard(func() error { panic("a bug") })
}

func TestFeedWithAWindowDeliversEverything(t *testing.T) {
	t.Parallel()
	const n = 500
	fake := fakeRedis{after: func(int) string { return strings.Repeat(goodMessage, n) }}
	fake.start(t)
	cfg := quick(fake.addr)
	cfg.FlushWindow = 5 * time.Millisecond
	var sink collector
	run(t, cfg, &sink)
	redistest.WaitFor(t, "all notifications", func() bool { return len(sink.all()) == n })
}

func TestNegativeWindowIsRefused(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Config: publish.Config{Addr: "localhost:1"}, FlushWindow: -1}, &collector{})
	if err == nil || !strings.Contains(err.Error(), "FlushWindow") {
		t.Errorf("New says %v", err)
	}
}
