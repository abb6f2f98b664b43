package redisfeed

import (
	"slices"
	"testing"

	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

// Notifications and commands come on one connection, in the order in which Redis took them.
func TestCommandsComeInOrder(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var sink collector
	feed := connected(t, quick(server.Addr()), &sink)
	publisher, err := publish.New(quick(server.Addr()).Config)
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close()
	server.Publish("user_noti:a", "1")
	if n, err := publisher.PublishControl(t.Context(), "a", "2"); n != 1 || err != nil {
		t.Errorf("PublishControl: %d received it, %v", n, err)
	}
	server.Publish("user_noti:a", "3")
	server.Publish("user_ctl:user_noti:b", "4")
	server.Publish("user_noti:user_ctl:b", "5")
	server.Publish("user_ctl:", "6")
	server.Publish("user_ctlx:a", "nothing")
	server.Publish("user_noti:a", "7")
	want := []notification{
		{"a", "1"}, {"user_ctl:a", "2"}, {"a", "3"}, {"user_ctl:user_noti:b", "4"},
		{"user_ctl:b", "5"}, {"user_ctl:", "6"}, {"a", "7"},
	}
	redistest.WaitFor(t, "all of them", func() bool { return len(sink.all()) >= len(want) })
	if got := sink.all(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if s := feed.Status(); s.Gaps != 0 || s.Messages != 4 {
		t.Errorf("status %+v, want no gap and 4 notifications", s)
	}
}
