package redisfeed

import (
	"strings"
	"testing"

	"roost/redisfeed/redistest"
)

func TestFeedDeliversToWhomItIsFor(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var sink collector
	feed := connected(t, quick(server.Addr()), &sink)
	users := []string{
		"alice", "a:b", ":", "user_noti:x", "ünï", " *?[a]", "line\r\nbreak", "\xff\x00\xfe", "\x01probe", "",
		strings.Repeat("u", 255),
	}
	payload := "{\"type\":\"t\",\"payload\":\"\x00\xff\r\n\"}"
	for _, user := range users {
		if n, err := feed.Publish(t.Context(), user, payload); err != nil || n != 1 {
			t.Fatalf("publish for %q: %d receivers, %v", user, n, err)
		}
	}
	redistest.WaitFor(t, "all notifications", func() bool { return len(sink.all()) >= len(users) })
	for i, got := range sink.all() {
		if got != (notification{users[i], payload}) {
			t.Errorf("notification %d is %q for %q, want it for %q", i, got.payload, got.user, users[i])
		}
	}
}

func TestFeedGetsOnlyItsPattern(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var sink collector
	connected(t, quick(server.Addr()), &sink)
	for _, channel := range []string{"user_not", "user_notix", "USER_NOTI:a", "roost:heartbeat:other", "other"} {
		server.Publish(channel, "no")
	}
	server.Publish("user_noti:a", "yes")
	redistest.WaitFor(t, "the notification", func() bool { return len(sink.all()) > 0 })
	if got := sink.all(); len(got) != 1 || got[0] != (notification{"a", "yes"}) {
		t.Errorf("got %q", got)
	}
}

func TestFeedKeepsHeartbeatsToItself(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var one, two collector
	a, b := connected(t, quick(server.Addr()), &one), connected(t, quick(server.Addr()), &two)
	redistest.WaitFor(t, "a ping of each", func() bool { return a.Status().Ping > 0 && b.Status().Ping > 0 })
	// A stranger's stamp on our channel is not a ping and does no harm.
	server.Publish(a.beat.channel, "not a stamp")
	if n := server.Publish("user_noti:a", "x"); n != 2 {
		t.Fatalf("%d receivers, want both instances", n)
	}
	redistest.WaitFor(t, "both", func() bool { return len(one.all()) > 0 && len(two.all()) > 0 })
	for _, sink := range []*collector{&one, &two} {
		if got := sink.all(); len(got) != 1 {
			t.Errorf("got %q, want the notification alone", got)
		}
	}
	if s := a.Status(); s.Messages != 1 || s.LastMessage.IsZero() || s.Gaps != 0 || s.Err != "" {
		t.Errorf("status %+v", s)
	}
}

func TestFeedStatusBeforeAndAfter(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f, err := New(quick(server.Addr()), &collector{})
	if err != nil {
		t.Fatal(err)
	}
	if s := f.Status(); s.Connected || s.Err == "" || s.Since.IsZero() {
		t.Errorf("before Run: %+v", s)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	feed := connected(t, quick(server.Addr()), &collector{})
	feed.cancel()
	if err := feed.wait(t); err != nil {
		t.Errorf("Run: %v", err)
	}
	if s := feed.Status(); s.Connected || s.Err == "" || s.Ping != 0 {
		t.Errorf("after Run: %+v", s)
	}
	if _, err := feed.Publish(t.Context(), "a", "x"); err == nil {
		t.Error("publishing after Run worked: its connections are open")
	}
	if err := feed.Run(t.Context()); err == nil {
		t.Error("a second Run")
	}
	if err := feed.Close(); err != nil {
		t.Errorf("Close after Run: %v", err)
	}
}

func TestFeedOverUnixSocket(t *testing.T) {
	t.Parallel()
	path := redistest.SocketDir(t) + "/redis.sock"
	redistest.Start(t, "--unixsocket", path)
	var sink collector
	feed := connected(t, quick(path), &sink)
	if _, err := feed.Publish(t.Context(), "a", "x"); err != nil {
		t.Fatal(err)
	}
	redistest.WaitFor(t, "the notification", func() bool { return sink.has(notification{"a", "x"}) })
}
