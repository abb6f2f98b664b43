package redisfeed

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

const goodMessage = "*4\r\n$8\r\npmessage\r\n$11\r\nuser_noti:*\r\n$11\r\nuser_noti:a\r\n$1\r\nx\r\n"

func TestOddRepliesLoseTheLinkAndNothingElse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, reply string
		bad         bool // no Redis says it to a subscriber
	}{
		{"kind is a number", "*3\r\n:1\r\n:2\r\n:3\r\n", true},
		{"empty array", "*0\r\n", true},
		{"array too short", "*1\r\n$8\r\npmessage\r\n", true},
		{"payload is a number", "*4\r\n$8\r\npmessage\r\n$11\r\nuser_noti:*\r\n$11\r\nuser_noti:a\r\n:7\r\n", true},
		{"payload is null", "*4\r\n$8\r\npmessage\r\n$11\r\nuser_noti:*\r\n$11\r\nuser_noti:a\r\n$-1\r\n", true},
		{"absurd length", "*3\r\n$999999999999999\r\n", true},
		{"a number", ":1\r\n", true},
		{"no RESP at all", "HTTP/1.1 200 OK\r\n\r\n", true},
		{"an error", "-ERR go away\r\n", false},
		{"unknown kind", "*3\r\n$5\r\nhello\r\n$1\r\na\r\n$1\r\nb\r\n", true},
		{"unsubscribed", confirmed("punsubscribe", pattern), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := fakeRedis{after: func(n int) string {
				if n == 1 {
					return goodMessage + tt.reply
				}
				return goodMessage
			}}
			fake.start(t)
			var sink collector
			feed := run(t, quick(fake.addr), &sink)
			redistest.WaitFor(t, "the notification on a second link", func() bool { return len(sink.all()) >= 2 })
			s := feed.Status()
			if want := map[bool]uint64{true: 1}[tt.bad]; s.BadReplies != want || s.Gaps < 1 {
				t.Errorf("status %+v, want %d bad replies and a gap", s, want)
			}
			for _, n := range sink.all() {
				if n != (notification{"a", "x"}) {
					t.Errorf("the sink got %q", n)
				}
			}
		})
	}
}

func TestOddReplyToTheFirstWords(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"*1\r\n:1\r\n", "$999999999999999\r\n", ":1\r\n", "garbage\r\n", "\r\n", "$2\r\nOK\r\n"} {
		fake := fakeRedis{auth: first, after: func(int) string { return "" }}
		fake.start(t)
		cfg := quick(fake.addr)
		cfg.MaxAttempts, cfg.Password = 2, "pw"
		feed := run(t, cfg, &collector{})
		if err := feed.wait(t); !errors.Is(err, ErrGaveUp) {
			t.Errorf("AUTH answered with %q: Run: %v", first, err)
		}
	}
}

func TestConfirmedAgainIsAGap(t *testing.T) {
	t.Parallel()
	var log redistest.Log
	fake := fakeRedis{after: func(int) string { return confirmed("psubscribe", pattern) + goodMessage }}
	fake.start(t)
	cfg := quick(fake.addr)
	cfg.Logger = log.Logger()
	var sink collector
	feed := run(t, cfg, &sink)
	redistest.WaitFor(t, "the notification", func() bool { return len(sink.all()) > 0 })
	if s := feed.Status(); s.Gaps < 1 || !strings.Contains(log.String(), "confirmed a subscription again") {
		t.Errorf("status %+v, log:\n%s", s, log.String())
	}
}

func TestUnconfirmedIsNotConnected(t *testing.T) {
	t.Parallel()
	cfg := quick(redistest.Listen(t)) // accepts and says nothing
	cfg.HeartbeatInterval, cfg.HeartbeatTimeout = 50*time.Millisecond, 200*time.Millisecond
	cfg.MaxAttempts = 2
	feed := run(t, cfg, &collector{})
	if err := feed.wait(t); !errors.Is(err, ErrGaveUp) {
		t.Errorf("Run: %v", err)
	}
	if s := feed.Status(); s.Connected || s.Messages != 0 {
		t.Errorf("status %+v", s)
	}
}

func TestHalfConfirmedIsNotConnected(t *testing.T) {
	t.Parallel()
	for _, mute := range []string{"subscribe", "psubscribe", publish.AllChannel, pattern, controlPattern, groupPattern} {
		fake := fakeRedis{mute: mute, after: func(int) string { return "" }}
		fake.start(t)
		cfg := quick(fake.addr)
		cfg.HeartbeatTimeout = 300 * time.Millisecond
		cfg.MaxAttempts = 1
		if err := run(t, cfg, &collector{}).wait(t); !errors.Is(err, ErrGaveUp) {
			t.Errorf("%s not confirmed: Run: %v", mute, err)
		}
	}
}

// A link is one connection, and no more is opened for it.
func TestOneConnectionForEachLink(t *testing.T) {
	t.Parallel()
	fake := fakeRedis{after: func(n int) string {
		if n <= 3 {
			return goodMessage + hangUp
		}
		return goodMessage
	}}
	fake.start(t)
	cfg := quick(fake.addr)
	cfg.HeartbeatInterval = cfg.HeartbeatTimeout - 1
	f, err := New(cfg, &collector{})
	if err != nil {
		t.Fatal(err)
	}
	f.beat.connected = nil // no heartbeats, which would be connections too
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	redistest.WaitFor(t, "the fourth link", func() bool { return f.Status().Messages == 4 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	fake.mu.Lock()
	defer fake.mu.Unlock()
	if fake.accepted != 4 || f.Status().Gaps != 3 {
		t.Errorf("%d connections for 4 links, status %+v", fake.accepted, f.Status())
	}
}

func TestUnconfirmedForTooLongEnds(t *testing.T) {
	t.Parallel()
	// Notifications flow and so the socket is never silent, but no confirmation comes.
	// On a busy machine they may not come in time.
	redistest.WaitFor(t, "what arrived before the confirmation to be delivered, and then ErrGaveUp and errSlow", func() bool {
		cfg := quick(chatter(t))
		cfg.HeartbeatTimeout = 3 * time.Second
		cfg.MaxAttempts = 1
		var sink collector
		err := run(t, cfg, &sink).wait(t)
		t.Logf("Run: %v, %d came", err, len(sink.all()))
		return errors.Is(err, ErrGaveUp) && errors.Is(err, errSlow) && len(sink.all()) > 0
	})
}
