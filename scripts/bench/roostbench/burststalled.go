package main

import (
	"errors"
	"math"
	"slices"
	"time"

	"roost/bench/roostbench/internal/procfs"
	"roost/bench/roostbench/internal/readers"
	"roost/bench/roostbench/internal/scrape"
	"roost/bench/roostbench/internal/sockmem"
)

// How often, and how long after each other, memory is looked at.
const (
	memoryLooks = 8
	memoryEvery = 500 * time.Millisecond
)

// stalledClients sends a burst to clients that read nothing, looks at what they cost, and waits until the server has
// ended them.
func (m *burstMeasurement) stalledClients() error {
	b := burst{m.StalledFor, 1000}
	m.say("%s each to %d clients that read nothing", b, m.Stalled)
	all, err := m.openMany(m.Stalled, readers.Stalled)
	if err != nil {
		return err
	}
	defer closeAll(all)
	behind, err := m.open(m.target, 1, readers.Full)
	if err != nil {
		return err
	}
	defer behind.close()
	held := m.liveHeap()
	before, err := procfs.Read(m.stand.server.PID())
	if err != nil {
		return err
	}
	m.others.Measure()
	for _, a := range all {
		if err := m.publish(a, b); err != nil {
			return err
		}
	}
	// The server is behind the publisher, and this client's notification was published behind all others.
	if err := m.awaitArrival(m.bursts, behind); err != nil {
		return err
	}
	began := time.Now() // the latest of them stalls
	if err := m.stalledMemory(all, before); err != nil {
		return err
	}
	if now := m.liveHeap(); held > 0 && now > 0 {
		m.report.Add(figHeld, (now-held)/float64(len(all))/1024, "KiB")
	}
	if err := m.awaitEnded(all, began); err != nil {
		return err
	}
	m.report.Add(figOthersStalled, m.others.P99(), "ms")
	return nil
}

// liveHeap has the server collect and returns the bytes of all live objects, without the garbage of what was published
// and dropped; 0 if it can't be asked to.
func (m *burstMeasurement) liveHeap() float64 {
	admin := "http://127.0.0.1:" + m.stand.side
	if _, err := scrape.Get(m.env.ctx, admin+"/debug/pprof/heap?gc=1&debug=1"); err != nil {
		return 0
	}
	values, err := scrape.Get(m.env.ctx, admin+"/metrics")
	if err != nil {
		return 0
	}
	return values[scrape.HeapObjects]
}

// stalledMemory looks several times while all of them are connected: what is in the kernel only grows, and the least of
// the server's own memory is what clients take, more of it is garbage.
func (m *burstMeasurement) stalledMemory(all []*userConns, before procfs.Sample) error {
	least := int64(math.MaxInt64)
	var kernel []int
	for range memoryLooks {
		if err := m.env.pause(memoryEvery); err != nil {
			return err
		}
		sample, err1 := procfs.Read(m.stand.server.PID())
		now, err2 := m.serverSockets(all)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if len(now) < len(all) {
			break
		}
		least, kernel = min(least, sample.Anon), now
	}
	if len(kernel) > 0 {
		sum := 0
		for _, n := range kernel {
			sum += n
		}
		m.report.Add(figKernel, float64(sum)/float64(len(kernel))/1024, "KiB")
		m.report.Add(figKernelMost, float64(slices.Max(kernel))/1024, "KiB")
		m.report.Add(figUser, procfs.Slope(before.Anon, least, len(all))/1024, "KiB")
	}
	return nil
}

// serverSockets is the kernel memory of each of the server's sockets that are connected to one of these clients.
func (m *burstMeasurement) serverSockets(all []*userConns) ([]int, error) {
	sockets, err := sockmem.Of(m.stand.at.Port())
	if err != nil {
		return nil, err
	}
	var sizes []int
	for _, a := range all {
		for _, s := range sockets {
			if s.Peer == a.readers[0].Addr() && s.Established {
				sizes = append(sizes, s.Bytes)
			}
		}
	}
	return sizes, nil
}

// awaitEnded waits until the server has ended clients that read nothing, or --end has passed.
func (m *burstMeasurement) awaitEnded(all []*userConns, began time.Time) error {
	left := len(all)
	for left > 0 && time.Since(began) < m.End {
		if err := m.env.pause(100 * time.Millisecond); err != nil {
			return err
		}
		open, err := m.serverSockets(all)
		if err != nil {
			return err
		}
		left = len(open)
	}
	m.report.Add(figEndedShare, percent(len(all)-left, len(all)), "%")
	if left == 0 {
		m.report.Add(figEnded, time.Since(began).Seconds(), "s")
	}
	return nil
}
