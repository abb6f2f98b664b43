package netem

import (
	"errors"
	"net/netip"
	"os"
	"sync"
)

// The ends of a path, of the addresses that are reserved for benchmarks (RFC 2544, 198.18.0.0/15).
var (
	near = netip.MustParsePrefix("198.18.0.1/30")
	far  = netip.MustParsePrefix("198.18.0.2/30")
)

// Path is a network path from this process's namespace to another one. Any goroutine may use it.
type Path struct {
	outside   namespace
	devices   []*os.File
	there     *direction // from here to the far end
	back      *direction
	relays    sync.WaitGroup
	closeOnce sync.Once
	closeErr  error
}

// Open makes a path, which is as fast as it can be until Set. There can be one in a namespace.
func Open() (*Path, error) {
	outside, err := newNamespace()
	if err != nil {
		return nil, err
	}
	p := &Path{outside: outside}
	open := func() error {
		device, err := openTUN("netem0", far)
		if err == nil {
			p.devices = append(p.devices, device)
		}
		return err
	}
	err = p.outside.do(open)
	if err == nil {
		var device *os.File
		if device, err = openTUN("netem0", near); err == nil {
			p.devices = append(p.devices, device)
		}
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.there, p.back = newDirection(p.devices[1], p.devices[0], 1), newDirection(p.devices[0], p.devices[1], 2)
	for _, d := range []*direction{p.there, p.back} {
		p.relays.Go(d.read)
		p.relays.Go(d.write)
	}
	return p, nil
}

// Near is the address of this end, as the far end reaches it.
func (p *Path) Near() netip.Addr { return near.Addr() }

// Set changes both directions. Packets under way keep their time of arrival: wait until there are none.
func (p *Path) Set(l Link) {
	p.there.set(l)
	p.back.set(l)
}

// Do runs fn on a thread at the far end. Sockets that it makes stay there.
func (p *Path) Do(fn func() error) error { return p.outside.do(fn) }

// Stats are packets, both directions together.
type Stats struct{ Carried, Dropped int }

// Stats returns what has been carried, and dropped by a full queue or lost, so far.
func (p *Path) Stats() Stats {
	var s Stats
	for _, d := range []*direction{p.there, p.back} {
		d.mu.Lock()
		s.Carried, s.Dropped = s.Carried+d.carried, s.Dropped+d.dropped
		d.mu.Unlock()
	}
	return s
}

// Close ends the path. Its connections hang.
func (p *Path) Close() error {
	p.closeOnce.Do(func() {
		for _, device := range p.devices {
			p.closeErr = errors.Join(p.closeErr, device.Close())
		}
		p.relays.Wait()
		p.closeErr = errors.Join(p.closeErr, p.outside.file.Close())
	})
	return p.closeErr
}
