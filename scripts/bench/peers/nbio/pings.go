package main

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/lesismal/nbio/nbhttp/websocket"
)

// pings sends them from one goroutine, a share of the connections each second,
// and closes connections from which none comes back.
type pings struct {
	wait  int64 // seconds
	start time.Time

	mu    sync.Mutex
	slots []map[*client]struct{} // one a second of the interval; guarded by mu
	next  int                    // slot of the next connection; guarded by mu
}

func newPings(interval, wait time.Duration) *pings {
	p := &pings{wait: int64(wait.Seconds()), start: time.Now(), slots: make([]map[*client]struct{}, max(int(interval.Seconds()), 1))}
	for i := range p.slots {
		p.slots[i] = map[*client]struct{}{}
	}
	return p
}

func (p *pings) now() int64 { return int64(time.Since(p.start).Seconds()) }

func (p *pings) heard(c *client) { atomic.StoreInt64(&c.last, p.now()) }

// add puts a connection into the slot after that of the one before.
func (p *pings) add(c *client) {
	p.heard(c)
	p.mu.Lock()
	defer p.mu.Unlock()
	c.slot = p.next
	p.slots[c.slot][c] = struct{}{}
	p.next = (p.next + 1) % len(p.slots)
}

func (p *pings) remove(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.slots[c.slot], c)
}

func (p *pings) run() {
	for second := 0; ; second++ {
		time.Sleep(time.Second)
		for _, c := range p.in(second % len(p.slots)) {
			if p.now()-atomic.LoadInt64(&c.last) > p.wait {
				_ = c.conn.Close()
				continue
			}
			_ = c.conn.WriteMessage(websocket.PingMessage, nil)
		}
	}
}

// in copies a slot, because closing a connection removes it.
func (p *pings) in(slot int) []*client {
	p.mu.Lock()
	defer p.mu.Unlock()
	var clients []*client
	for c := range p.slots[slot] {
		clients = append(clients, c)
	}
	return clients
}
