package site

import (
	"sync"
	"sync/atomic"
	"time"
)

// PingState is what Pings keeps in a client, which embeds it.
type PingState struct {
	last int64 // second in which a pong came; atomic
	slot int   // static once added
}

// State is for Pings.
func (s *PingState) State() *PingState { return s }

// Pinged is a client that Pings looks after. Its methods are called by the goroutine of Pings.Run.
type Pinged interface {
	comparable
	State() *PingState
	Ping()
	Close()
}

// Pings sends them from one goroutine, a share of the connections each second,
// and closes connections from which none comes back.
type Pings[C Pinged] struct {
	wait  int64 // seconds
	start time.Time

	mu    sync.Mutex
	slots []map[C]struct{} // one a second of the interval; guarded by mu
	next  int              // slot of the next connection; guarded by mu
}

// NewPings makes one, which does nothing before Run.
func NewPings[C Pinged](interval, wait time.Duration) *Pings[C] {
	p := &Pings[C]{wait: int64(wait.Seconds()), start: time.Now(), slots: make([]map[C]struct{}, max(int(interval.Seconds()), 1))}
	for i := range p.slots {
		p.slots[i] = map[C]struct{}{}
	}
	return p
}

func (p *Pings[C]) now() int64 { return int64(time.Since(p.start).Seconds()) }

// Ponged notes that a pong came.
func (p *Pings[C]) Ponged(c C) { atomic.StoreInt64(&c.State().last, p.now()) }

// Add puts a connection into the slot after that of the one before.
func (p *Pings[C]) Add(c C) {
	p.Ponged(c)
	p.mu.Lock()
	defer p.mu.Unlock()
	c.State().slot = p.next
	p.slots[p.next][c] = struct{}{}
	p.next = (p.next + 1) % len(p.slots)
}

// Remove forgets a connection.
func (p *Pings[C]) Remove(c C) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.slots[c.State().slot], c)
}

// Run does not return.
func (p *Pings[C]) Run() {
	for second := 0; ; second++ {
		time.Sleep(time.Second)
		for _, c := range p.in(second % len(p.slots)) {
			if p.now()-atomic.LoadInt64(&c.State().last) > p.wait {
				c.Close()
				continue
			}
			c.Ping()
		}
	}
}

// in copies a slot, because closing a connection removes it.
func (p *Pings[C]) in(slot int) []C {
	p.mu.Lock()
	defer p.mu.Unlock()
	var clients []C
	for c := range p.slots[slot] {
		clients = append(clients, c)
	}
	return clients
}
