package redisfeed

import (
	"slices"
	"sync"
	"testing"

	"roost/redisfeed/redistest"
)

// stream is what two instances hear, with its markers.
type stream struct {
	mu  sync.Mutex
	got []string
}

func (s *stream) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, what)
}

func (s *stream) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// Behind a marker two instances hear the same; one comes when an instance starts, and when a link is up again.
func TestMarkersAreHeardByAll(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	start := func() *stream {
		s := &stream{}
		cfg := quick(server.Addr())
		cfg.Marker = func(message string) { s.note("marker " + message) }
		cfg.Lost = func() { s.note("lost") }
		connected(t, cfg, sinkFunc(func(user, payload string) { s.note(user + " " + payload) }))
		return s
	}
	first := start()
	redistest.WaitFor(t, "a marker", func() bool { return len(first.all()) > 0 })
	before := len(first.all())
	second := start()
	redistest.WaitFor(t, "a marker of the second", func() bool { return len(second.all()) > 0 && len(first.all()) > before })
	server.Publish("user_noti:a", "1")
	server.Publish("user_noti:b", "2")
	last := func(s *stream) bool { all := s.all(); return len(all) > 0 && all[len(all)-1] == "b 2" }
	redistest.WaitFor(t, "what was published", func() bool { return last(first) && last(second) })
	a, b := first.all(), second.all()
	if !slices.Equal(a[len(a)-3:], b[len(b)-3:]) {
		t.Errorf("the first heard %q, the second %q", a, b)
	}
	server.Client().Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub")
	redistest.WaitFor(t, "a marker on the next link", func() bool {
		lost := slices.Index(first.all(), "lost")
		return lost > 0 && len(first.all()) > lost+1
	})
}

// Whoever does not ask for markers neither publishes nor hears any.
func TestNoMarkersUnlessAskedFor(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	connected(t, quick(server.Addr()), &collector{})
	channels, err := server.Client().Do(t.Context(), "PUBSUB", "CHANNELS").StringSlice()
	if err != nil || slices.Contains(channels, markerChannel) {
		t.Errorf("subscribed to %q, %v", channels, err)
	}
}
