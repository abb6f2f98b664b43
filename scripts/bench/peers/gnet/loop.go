package main

import (
	"context"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/panjf2000/gnet/v2"

	"roost/bench/peers/site"
)

// client is one connection that is upgraded.
type client struct {
	site.PingState
	loop      *loop
	user      string
	writeWait time.Duration

	// The loop's.
	conn    gnet.Conn // nil once it is closed
	frames  [][]byte  // to be written in this turn
	waiting int       // frames that gnet keeps because the kernel took no more
	since   time.Time // when the first of them came
}

// maxWaiting is how many frames wait for a client that is slow; the next is dropped.
const maxWaiting = 256

// Send puts a frame into the mailbox of the client's loop. Any goroutine may call it.
func (c *client) Send(frame []byte) { c.loop.put(c, frame) }

// Ping is site.Pings'.
func (c *client) Ping() { c.loop.put(c, ws.CompiledPing) }

// Close is site.Pings'.
func (c *client) Close() { c.loop.put(c, nil) }

// item is a frame for a client; a nil frame closes it.
type item struct {
	client *client
	frame  []byte
}

// loop is the mailbox of one of gnet's event loops.
type loop struct {
	engine gnet.EventLoop

	mu    sync.Mutex
	items []item // guarded by mu

	spare   []item    // the loop's
	touched []*client // the loop's
}

// put adds an item, and wakes the loop for the first one.
func (l *loop) put(c *client, frame []byte) {
	l.mu.Lock()
	l.items = append(l.items, item{c, frame})
	first := len(l.items) == 1
	l.mu.Unlock()
	if first {
		_ = l.engine.Execute(context.Background(), gnet.RunnableFunc(l.drain))
	}
}

// drain runs on the loop: it writes once to each client, whatever the number of its frames.
func (l *loop) drain(context.Context) error {
	l.mu.Lock()
	items := l.items
	l.items = l.spare[:0]
	l.mu.Unlock()
	for i, it := range items {
		c := it.client
		switch {
		case c.conn == nil:
		case it.frame == nil:
			_ = l.engine.Close(c.conn)
		default:
			if len(c.frames) == 0 {
				l.touched = append(l.touched, c)
			}
			c.frames = append(c.frames, it.frame)
		}
		items[i] = item{}
	}
	l.spare = items[:0]
	for i, c := range l.touched {
		c.flush()
		l.touched[i] = nil
	}
	l.touched = l.touched[:0]
	return nil
}

// flush writes what came in this turn, in pieces, until no more may wait.
func (c *client) flush() {
	frames := c.frames
	c.frames = nil
	for len(frames) > 0 && c.conn != nil {
		if c.conn.OutboundBuffered() == 0 {
			c.waiting = 0
		} else if time.Since(c.since) > c.writeWait {
			_ = c.loop.engine.Close(c.conn)
			return
		}
		n := min(len(frames), maxWaiting-c.waiting)
		if n <= 0 {
			return // the rest is dropped
		}
		c.write(frames[:n])
		frames = frames[n:]
	}
}

func (c *client) write(frames [][]byte) {
	if _, err := c.conn.Writev(frames); err != nil || c.conn == nil || c.conn.OutboundBuffered() == 0 {
		return
	}
	if c.waiting == 0 {
		c.since = time.Now()
	}
	c.waiting += len(frames)
}
