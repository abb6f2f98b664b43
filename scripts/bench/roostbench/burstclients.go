package main

import (
	"roost/bench/roostbench/internal/readers"
)

// burstsToFast sends every burst to clients that read as fast as they can.
func (m *burstMeasurement) burstsToFast() error {
	m.others.Measure()
	for _, size := range m.Sizes {
		for _, count := range m.Counts {
			for _, connections := range m.Connections {
				b := burst{count, size}
				m.say("%s to a user with %d connections", b, connections)
				a, err := m.open(m.target, connections, readers.Full)
				if err != nil {
					return err
				}
				err = m.publish(a, b)
				if err == nil {
					err = m.awaitArrival(m.bursts, a)
				}
				a.close()
				if err != nil {
					return err
				}
				m.report.AddAt(figShare+b.String(), connections, a.share(), "%")
			}
		}
	}
	m.report.Add(figOthersBursts, m.others.P99(), "ms")
	return m.env.ctx.Err()
}

// speeds of slow and fast readers, and what they are called.
var speeds = []struct {
	speed readers.Speed
	name  string
}{{readers.Full, "full speed"}, {2_000_000, "2 MB/s"}, {500, "500 B/s"}}

// readersOfEverySpeed sends the same burst to clients of every speed.
func (m *burstMeasurement) readersOfEverySpeed() error {
	m.say("1,000 × 1 KB each to %d clients that read at full speed, at 2 MB/s, and at 500 B/s", m.Readers)
	classes := make([][]*userConns, len(speeds))
	defer func() {
		for _, class := range classes {
			closeAll(class)
		}
	}()
	for i, s := range speeds {
		var err error
		if classes[i], err = m.openMany(m.Readers, s.speed); err != nil {
			return err
		}
	}
	m.others.Measure()
	for n := range m.Readers { // the speeds in turn
		for i := range classes {
			if err := m.publish(classes[i][n], oneKB); err != nil {
				return err
			}
		}
	}
	if err := m.env.pause(m.Hold); err != nil {
		return err
	}
	m.report.Add(figOthersSlow, m.others.P99(), "ms")
	for i, s := range speeds {
		for _, a := range classes[i] {
			a.setSpeed(readers.Full)
		}
		if err := m.addClass(classes[i], s.name); err != nil {
			return err
		}
	}
	return m.stalledClients()
}

// openMany opens so many users with a connection each, which reads at speed.
func (m *burstMeasurement) openMany(count int, speed readers.Speed) ([]*userConns, error) {
	var all []*userConns
	for range count {
		a, err := m.open(m.target, 1, speed)
		if err != nil {
			closeAll(all)
			return nil, err
		}
		a.setSpeed(speed)
		all = append(all, a)
	}
	return all, nil
}

func closeAll(all []*userConns) {
	for _, a := range all {
		a.close()
	}
}

// addClass waits until clients of a speed have read all, and says what they got.
func (m *burstMeasurement) addClass(class []*userConns, name string) error {
	received, due, lost := 0, 0, 0
	for _, a := range class {
		if err := m.awaitArrival(m.bursts, a); err != nil {
			return err
		}
		r, d := a.received()
		received, due, lost = received+r, due+d, lost+a.lost()
	}
	m.report.Add(figReaders+name, percent(received, due), "%")
	m.report.Add(figLostAt+name, float64(lost), "")
	return nil
}
