package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestOutcome(t *testing.T) {
	t.Parallel()
	for want, n := range map[string]WhyNotification{
		outcomeOffline: {Problem: "offline"},
		outcomeInvalid: {Problem: "invalid_json"},
		outcomeDropped: {Connections: 3, Sent: 1, Queued: 1, Failed: map[string]int{failedByClosing: 1, "queue_full": 1}},
		outcomeQueued:  {Connections: 3, Sent: 1, Queued: 1, Failed: map[string]int{failedByClosing: 1}},
		outcomeClosed:  {Connections: 2, Sent: 1, Failed: map[string]int{failedByClosing: 1}},
		outcomeUnacked: {Connections: 2, Sent: 2, Unacked: 1},
		outcomeSent:    {Connections: 2, Sent: 2},
	} {
		if got := n.outcome(); got != want {
			t.Errorf("%+v: %s, want %s", n, got, want)
		}
	}
	if got := (&WhyNotification{Problem: problemTooMany, Via: "everyone"}).outcome(); got != outcomeDropped {
		t.Errorf("one of too many: %s", got)
	}
}

// The verdict names the first thing that explains why nothing arrives.
func TestVerdict(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	up := RedisState{Connected: true}
	open := []WhyConnection{{Remote: "192.0.2.1:4000"}}
	with := func(n WhyNotification) Why {
		n.At = at
		return Why{Redis: up, Connections: 1, Open: open, Seen: 1, Latest: []WhyNotification{n}}
	}
	for _, tt := range []struct {
		says string
		why  Why
	}{
		{"not connected to Redis since 03:04:05 UTC, so nothing can come: refused", Why{Redis: RedisState{Err: "refused"}, RedisSince: at, Connections: 1}},
		{"no connection to this server. Nothing was published", Why{Redis: up}},
		{"no connection to this server; 3 notifications came since 03:04:05", Why{Redis: up, Seen: 3, WatchedSince: at}},
		{"no connection to this server, which hears nothing of what", Why{Redis: up, Alone: true}},
		{"has not confirmed the subscription to this user", Why{Redis: up, Alone: true, Unheard: true, Connections: 1, Open: open}},
		{"192.0.2.1:4000 has taken nothing for 7 s; 5 notifications wait", Why{Redis: up, Connections: 1,
			Open: []WhyConnection{{StalledFor: 2}, {Remote: "192.0.2.1:4000", StalledFor: 7, Waiting: 5}}}},
		{"192.0.2.1:4000 has taken nothing for 7 s; 1 notification waits for it", Why{Redis: up, Connections: 1,
			Open: []WhyConnection{{Remote: "192.0.2.1:4000", StalledFor: 7, Waiting: 1}}}},
		{"nothing was published for this user since 03:04:05 UTC: is the channel's name right, to the letter? It has to be SPUBLISH user_noti:alice.",
			Why{Command: "SPUBLISH", Channel: "user_noti:alice", Redis: up, Connections: 1, WatchedSince: at, Open: open}},
		{"came while the user was not connected", with(WhyNotification{Problem: "offline"})},
		{"skipped for its content: too_big", with(WhyNotification{Problem: "too_big"})},
		{"dropped for want of room: more came at once", with(WhyNotification{Connections: 1, Failed: map[string]int{"queue_full": 1}})},
		{"dropped for want of room: the client reads too slowly", with(WhyNotification{Connections: 1, Failed: map[string]int{"slow_consumer": 1}})},
		{"ended before the client had acknowledged it", with(WhyNotification{Connections: 1, Sent: 1, Unacked: 1})},
		{"the client at 192.0.2.1:4001 has not acknowledged 120 bytes, and nothing came from it for 9 s", Why{
			Redis: up, Connections: 2, Seen: 1, Latest: []WhyNotification{{At: at, Connections: 2, Sent: 2}},
			Open: []WhyConnection{{Remote: "192.0.2.1:4000", UnackedBytes: 500, HeardSeconds: 0.3}, {Remote: "192.0.2.1:4001", UnackedBytes: 120, HeardSeconds: 9}},
		}},
		{"dropped: more is published for group staff than can be delivered", with(WhyNotification{Problem: problemTooMany, Via: "group staff"})},
		{"waits for 1 of 2 connections", with(WhyNotification{Connections: 2, Sent: 1, Queued: 1})},
		{"lost with a connection that ended", with(WhyNotification{Connections: 1, Failed: map[string]int{failedByClosing: 1}})},
		{"left for all connections that were open (1), within 0.50 ms", with(WhyNotification{Connections: 1, Sent: 1, TookMS: 0.5})},
	} {
		tt.why.complete()
		if !strings.Contains(tt.why.Verdict, tt.says) {
			t.Errorf("%q, want %q in it", tt.why.Verdict, tt.says)
		}
	}
}

func TestWhyAnswers(t *testing.T) {
	t.Parallel()
	look := func(_ context.Context, user string) (Why, error) {
		switch user {
		case "bad":
			return Why{}, fmt.Errorf("%w: too odd", ErrNoSuchUser)
		case "broken":
			return Why{}, errors.New("it failed")
		}
		return Why{User: user, Redis: RedisState{Connected: true}}, nil
	}
	for _, tt := range []struct {
		target string
		cfg    Config
		status int
		says   string
	}{
		{"/why?user=alice", Config{}, 501, "not set up"},
		{"/why", Config{Why: look}, 400, "/why?user=alice"},
		{"/why?user=bad", Config{Why: look}, 400, "not a user id: too odd"},
		{"/why?user=broken", Config{Why: look}, 500, "it failed"},
		{"/why?user=%C3%A4%20x", Config{Why: look}, 200, `"user":"ä x","channel":"","command":"","verdict":"The user has no connection`},
		{"/why?user=alice", Config{Why: look}, 200, `"open":[],"redis_since"`},
		{"/why?user=alice", Config{Why: look}, 200, `"latest":[]`},
	} {
		tt.cfg.Stats = someStats
		s := New(tt.cfg)
		r := httptest.NewRequest("GET", "http://localhost"+tt.target, nil)
		r.RemoteAddr = "127.0.0.1:1"
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s: %d %s, want %d and %q in it", tt.target, w.Code, w.Body, tt.status, tt.says)
		}
	}
}
