package netem

import (
	"math/rand/v2"
	"os"
	"sync"
	"time"
)

// packet is on its way.
type packet struct {
	bytes []byte
	due   time.Time
}

// direction carries packets from one device to the other. Two goroutines work for it: one reads, one writes.
type direction struct {
	from, to *os.File
	arrived  chan struct{} // has room for one: a packet waits that was not there before

	mu      sync.Mutex
	pipe    pipe     // guarded by mu
	waiting []packet // in the order in which they are due; guarded by mu
	carried int      // guarded by mu
	dropped int      // guarded by mu
	closed  bool     // guarded by mu
}

func newDirection(from, to *os.File, seed uint64) *direction {
	return &direction{
		from: from, to: to, arrived: make(chan struct{}, 1),
		pipe: pipe{random: rand.New(rand.NewPCG(seed, 0x6e6574656d))},
	}
}

func (d *direction) set(l Link) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pipe.link = l
}

// largest is the longest packet that a device has.
const largest = 64 << 10

// read is a goroutine: it ends when the device is closed.
func (d *direction) read() {
	buf := make([]byte, largest)
	for {
		n, err := d.from.Read(buf)
		if err != nil {
			d.close()
			return
		}
		d.take(buf[:n])
	}
}

func (d *direction) take(in []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	due, ok := d.pipe.admit(time.Now(), len(in))
	if !ok {
		d.dropped++
		return
	}
	d.carried++
	// Links are changed between two measurements, when nothing is under way that could be overtaken.
	d.waiting = append(d.waiting, packet{append([]byte(nil), in...), due})
	d.notify()
}

func (d *direction) notify() {
	select {
	case d.arrived <- struct{}{}:
	default:
	}
}

func (d *direction) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.notify()
}

// write is a goroutine: it puts packets into the other device when they are due.
func (d *direction) write() {
	for {
		p, wait, ok := d.next()
		switch {
		case !ok:
			return
		case p.bytes != nil:
			_, _ = d.to.Write(p.bytes) // a device that is full loses it, as networks do
		case wait > 0:
			time.Sleep(wait)
		default:
			<-d.arrived
		}
	}
}

// next returns a packet that is due, or how long until one is; 0 where none waits. It returns false when the path is
// closed.
func (d *direction) next() (packet, time.Duration, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return packet{}, 0, false
	}
	if len(d.waiting) == 0 {
		d.waiting = nil
		return packet{}, 0, true
	}
	p := d.waiting[0]
	if wait := time.Until(p.due); wait > 0 {
		return packet{}, wait, true
	}
	d.waiting = d.waiting[1:]
	return p, 0, true
}
