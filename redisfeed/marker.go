package redisfeed

import (
	"sync/atomic"
	"time"
)

// markerChannel is where markers are published: all instances subscribe to it. The ACL that heartbeats need covers it.
const markerChannel = heartbeatPrefix + "marker"

// markerEvery is how long no marker has to have come before an instance publishes one. Instances that start publish one at
// once; more of them only keep the counts small.
const markerEvery = 5 * time.Minute

// markers is when the last one came. Any goroutine.
type markers struct {
	last atomic.Int64 // Unix nanoseconds; 0: none on this link
}

func (m *markers) heard(now time.Time) { m.last.Store(now.UnixNano()) }
func (m *markers) forget()             { m.last.Store(0) }

// due reports whether one has to be published.
func (m *markers) due(now time.Time) bool {
	last := m.last.Load()
	return last == 0 || now.Sub(time.Unix(0, last)) >= markerEvery
}

// marks reports whether markers are published and heard.
func (f *Feed) marks() bool { return f.cfg.Marker != nil && f.cfg.Mode == Pattern }
