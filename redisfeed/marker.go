package redisfeed

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"roost/internal/position"
)

// markerChannel is where markers are published: all instances subscribe to it. The ACL that heartbeats need covers it.
const markerChannel = heartbeatPrefix + "marker"

// markerEvery is how long no marker has to have come before an instance publishes one. Instances that start publish one at
// once; more of them only keep the counts small.
const markerEvery = 5 * time.Minute

// confirmedPrefix begins the message which says that a marker is confirmed: all instances that are not too slow for it have heard it.
const confirmedPrefix = "="

// markers is what came on this link. Any goroutine.
type markers struct {
	last atomic.Int64 // when the last marker came, in Unix nanoseconds; 0: none

	mu      sync.Mutex
	waiting string    // guarded by mu: the latest that is not confirmed; "": none
	since   time.Time // guarded by mu: when it came
}

// heard notes that a message came. It returns the marker, and whether it is confirmed now.
func (m *markers) heard(message string, now time.Time) (marker string, confirmed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if marker, confirmed = strings.CutPrefix(message, confirmedPrefix); !confirmed {
		m.last.Store(now.UnixNano())
		m.waiting, m.since = marker, now
	} else if m.waiting == marker {
		m.waiting = ""
	}
	return marker, confirmed
}

func (m *markers) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last.Store(0)
	m.waiting = ""
}

// due returns the message that has to be published; "": none. Any of the instances says that a marker is confirmed, and says it again
// until it has heard it: whoever has published the marker may have stopped.
func (m *markers) due(now time.Time) (message string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := m.last.Load()
	switch {
	case last == 0 || now.Sub(time.Unix(0, last)) >= markerEvery:
		return rand.Text()
	case m.waiting != "" && now.Sub(m.since) >= position.MaxLag:
		return confirmedPrefix + m.waiting
	}
	return ""
}

// marks reports whether markers are published and heard.
func (f *Feed) marks() bool { return f.cfg.Marker != nil && f.cfg.Mode == Pattern }

// sendMarker publishes the marker that is due. After a failure the next beat tries again, with another text: a marker that came
// twice would be in two places.
func (f *Feed) sendMarker(ctx context.Context) {
	message := f.markers.due(time.Now())
	if message == "" || f.beats.PublishOnce(ctx, markerChannel, message) != nil || strings.HasPrefix(message, confirmedPrefix) {
		return
	}
	time.AfterFunc(position.MaxLag, f.beat.soon) // others do it with their beats, if this one does not
}
