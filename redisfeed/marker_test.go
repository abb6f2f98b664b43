package redisfeed

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"roost/redisfeed/internal/resp"
	"roost/redisfeed/publish"
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
		cfg.Marker = func(text string, confirmed bool) {
			switch {
			case !confirmed:
				s.note("marker " + text)
			case !slices.Contains(s.all(), "confirmed "+text): // several instances may say so
				s.note("confirmed " + text)
			}
		}
		cfg.Lost = func() { s.note("lost") }
		connected(t, cfg, sinkFunc(func(user, payload string) { s.note(user + " " + payload) }))
		return s
	}
	first := start()
	redistest.WaitFor(t, "a marker", func() bool { return len(first.all()) > 0 })
	before := len(first.all())
	second := start()
	redistest.WaitFor(t, "a marker of the second", func() bool { return hasMarker(second) && len(first.all()) > before })
	redistest.WaitFor(t, "the latest marker to be confirmed", func() bool { return allConfirmed(first) && allConfirmed(second) })
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

// hasMarker reports whether a marker was heard. A confirmation may come before: that of a marker of before.
func hasMarker(s *stream) bool {
	return slices.ContainsFunc(s.all(), func(what string) bool { return strings.HasPrefix(what, "marker ") })
}

// allConfirmed reports whether the latest marker that was heard is confirmed.
func allConfirmed(s *stream) bool {
	latest := ""
	for _, what := range s.all() {
		if marker, ok := strings.CutPrefix(what, "marker "); ok {
			latest = marker
		} else if what == "confirmed "+latest {
			latest = ""
		}
	}
	return latest == ""
}

// A marker may come while not all is subscribed to: others count notifications behind it that this instance does not hear.
func TestMarkerBeforeAllIsSubscribed(t *testing.T) {
	t.Parallel()
	marker, _, err := resp.Parse(fmt.Appendf(nil, "*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$1\r\nm\r\n", len(markerChannel), markerChannel))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		left  int // subscriptions that are not confirmed
		heard bool
	}{{1, false}, {0, true}} {
		heard := false
		f := &Feed{beat: &heartbeat{}, cfg: Config{Marker: func(string, bool) { heard = true }}}
		l := &link{wants: map[subscription]bool{}, left: test.left}
		f.message(l, marker)
		if heard != test.heard {
			t.Errorf("with %d subscriptions left it was heard: %v", test.left, heard)
		}
	}
}

// A marker that came twice would be in two places: it is published once, even if the answer is lost.
func TestMarkerIsPublishedOnce(t *testing.T) {
	t.Parallel()
	published := make(chan string, 8)
	silent := publishEater(t, published)
	cfg := quick(silent)
	cfg.MaxRetries = 3
	p, err := publish.New(cfg.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if err := p.PublishOnce(t.Context(), markerChannel, "m"); err == nil {
		t.Error("no error")
	}
	if len(published) != 1 {
		t.Errorf("it was published %d times", len(published))
	}
}

// publishEater is a Redis that closes the connection in place of an answer to PUBLISH.
func publishEater(t *testing.T, published chan<- string) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	serve := func(conn net.Conn) {
		defer func() { _ = conn.Close() }()
		in := bufio.NewReader(conn)
		for {
			args, err := readCommand(in)
			switch {
			case err != nil:
				return
			case strings.EqualFold(args[0], "publish"):
				published <- args[2]
				return
			case strings.EqualFold(args[0], "hello"):
				_, _ = fmt.Fprint(conn, "*2\r\n$5\r\nproto\r\n:2\r\n")
			default:
				_, _ = fmt.Fprint(conn, "+OK\r\n")
			}
		}
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return ln.Addr().String()
}

// A feed without markers neither publishes nor reads any.
func TestNoMarkersUnlessAskedFor(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	connected(t, quick(server.Addr()), &collector{})
	channels, err := server.Client().Do(t.Context(), "PUBSUB", "CHANNELS").StringSlice()
	if err != nil || slices.Contains(channels, markerChannel) {
		t.Errorf("subscribed to %q, %v", channels, err)
	}
}
