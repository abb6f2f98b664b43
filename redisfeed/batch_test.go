package redisfeed

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

func TestPace(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		window time.Duration
		full   []bool        // of each read, whether it was full
		work   time.Duration // between two reads
		want   []time.Duration
	}{
		"no window":                  {0, []bool{false, false, false}, 0, []time.Duration{0, 0, 0}},
		"a window":                   {10, []bool{false, false, false}, 0, []time.Duration{0, 10, 20}},
		"work counts":                {10, []bool{false, false, false}, 4, []time.Duration{0, 10, 20}},
		"more work than window":      {10, []bool{false, false, false}, 15, []time.Duration{0, 15, 30}},
		"full reads are not held up": {10, []bool{true, true, false, false}, 0, []time.Duration{0, 0, 0, 10}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var reads []time.Duration
				p := pace{window: tt.window, sleep: time.Sleep}
				for _, full := range tt.full {
					p.wait()
					reads = append(reads, time.Since(start))
					p.read(full)
					time.Sleep(tt.work) // the bubble's time
				}
				if !slices.Equal(reads, tt.want) {
					t.Errorf("reads at %v, want %v", reads, tt.want)
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

// Notifications ahead of a reply that ends the link are flushed, though nothing more is read on it.
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
