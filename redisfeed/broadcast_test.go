package redisfeed

import (
	"slices"
	"testing"

	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

// Notifications for a user, for groups and for everyone come on one connection, in the order in which Redis took them.
func TestBroadcastsComeInOrder(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var sink collector
	feed := connected(t, quick(server.Addr()), &sink)
	publisher := must(publish.New(quick(server.Addr()).Config))
	defer publisher.Close()
	server.Publish("user_noti:a", "1")
	if n, err := publisher.PublishAll(t.Context(), "2"); n != 1 || err != nil {
		t.Errorf("PublishAll: %d received it, %v", n, err)
	}
	if n, err := publisher.PublishGroup(t.Context(), "staff", "3"); n != 1 || err != nil {
		t.Errorf("PublishGroup: %d received it, %v", n, err)
	}
	server.Publish("user_noti:a", "4")
	server.Publish("user_noti_all:a", "nothing")
	server.Publish("user_noti_al", "nothing")
	server.Publish("group_noti", "nothing")
	server.Publish("group_noti:", "5")
	server.Publish("group_noti:user_noti:a", "6")
	server.Publish("user_noti:user_noti_all", "7")
	server.Publish("user_noti_all", "8")
	want := []notification{
		{"a", "1"}, {"everyone", "2"}, {"group_noti:staff", "3"}, {"a", "4"}, {"group_noti:", "5"},
		{"group_noti:user_noti:a", "6"}, {"user_noti_all", "7"}, {"everyone", "8"},
	}
	redistest.WaitFor(t, "all of them", func() bool { return len(sink.all()) >= len(want) })
	if got := sink.all(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if s := feed.Status(); s.Gaps != 0 || s.Messages != 8 {
		t.Errorf("status %+v, want no gap and 8 notifications", s)
	}
}
