package redisfeed

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roost/redisfeed/redistest"
)

// awaited is a Waiter that can be waited for.
type awaited chan struct{}

func (w awaited) Subscribed() { w <- struct{}{} }

// join acquires a subscription, and waits until the user is subscribed.
func join(t testing.TB, f *Feed, user string) {
	t.Helper()
	w := make(awaited, 1)
	if f.Acquire(user, w) {
		return
	}
	select {
	case <-w:
	case <-time.After(redistest.Patience):
		t.Fatalf("waited %s for %s to be subscribed", redistest.Patience, user)
	}
}

// perUser is quick with a subscription for each user.
func perUser(addr string) Config {
	cfg := quick(addr)
	cfg.Mode = PerUser
	return cfg
}

// subscribers is how many clients a channel of the server has.
func subscribers(t testing.TB, server *redistest.Server, channel string) int64 {
	t.Helper()
	n, err := server.Client().PubSubNumSub(context.Background(), channel).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n[channel]
}

// A user is subscribed from the moment that is told, and only users who are here are.
func TestPerUser(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var sink collector
	feed := connected(t, perUser(server.Addr()), &sink)
	join(t, feed.Feed, "alice")
	server.Publish("user_noti:bob", "nobody hears this")
	server.Publish("user_noti:alice", "1")
	server.Publish("user_noti_all", "2")
	server.Publish("group_noti:staff", "3")
	server.Publish("user_ctl:bob", "4")
	server.Publish("user_noti:alice", "5")
	redistest.WaitFor(t, "the last", func() bool { return sink.has(notification{"alice", "5"}) })
	want := []notification{{"alice", "1"}, {"everyone", "2"}, {"group_noti:staff", "3"}, {"user_ctl:bob", "4"}, {"alice", "5"}}
	if got := sink.all(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if s := feed.Status(); s.Users != (Users{Subscribed: 1}) {
		t.Errorf("users %+v", s.Users)
	}
}

// A second connection, or one that comes back before the delay is over, finds the user subscribed. After the delay the
// subscription ends.
func TestPerUserLeaves(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := perUser(server.Addr())
	cfg.UnsubscribeDelay = time.Hour
	feed := connected(t, cfg, &collector{})
	join(t, feed.Feed, "alice")
	for range 3 {
		if !feed.Acquire("alice", nil) {
			t.Fatal("a second connection has to wait")
		}
		feed.Release("alice")
	}
	feed.Release("alice")
	if !feed.Acquire("alice", nil) {
		t.Error("who comes back at once has to wait")
	}
	if n := subscribers(t, server, "user_noti:alice"); n != 1 {
		t.Errorf("%d subscribers", n)
	}

	cfg.UnsubscribeDelay = 300 * time.Millisecond
	feed = connected(t, cfg, &collector{})
	join(t, feed.Feed, "bob")
	left := time.Now()
	feed.Release("bob")
	redistest.WaitFor(t, "the subscription to end", func() bool { return subscribers(t, server, "user_noti:bob") == 0 })
	if took := time.Since(left); took < cfg.UnsubscribeDelay {
		t.Errorf("it ended after %s", took)
	}
	redistest.WaitFor(t, "nothing to be left", func() bool { return feed.Status().Users == Users{} })
	join(t, feed.Feed, "bob")
	if n := subscribers(t, server, "user_noti:bob"); n != 1 {
		t.Errorf("%d subscribers", n)
	}
}

// A storm is subscribed to in few commands, and each is told.
func TestPerUserStorm(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var sink collector
	feed := connected(t, perUser(server.Addr()), &sink)
	const users = 20_000
	var all sync.WaitGroup
	waiter := counted{&all}
	feed.manager.turn.Lock() // it finds them all: how many come while it subscribes others is the machine's
	for i := range users {
		all.Add(1)
		if feed.Acquire(fmt.Sprint("user", i), waiter) {
			all.Done()
		}
	}
	feed.manager.turn.Unlock()
	all.Wait()
	if s := feed.Status().Users; s != (Users{Subscribed: users}) {
		t.Errorf("users %+v", s)
	}
	stats, err := server.Client().InfoMap(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	var calls int
	if _, err := fmt.Sscanf(stats["Commandstats"]["cmdstat_subscribe"], "calls=%d,", &calls); err != nil || calls > users/100 {
		t.Errorf("%d SUBSCRIBE commands (%v)", calls, err)
	}
	server.Publish(fmt.Sprint("user_noti:user", users-1), "x")
	redistest.WaitFor(t, "the notification", func() bool { return len(sink.all()) == 1 })
}

type counted struct{ *sync.WaitGroup }

func (c counted) Subscribed() { c.Done() }

// When Redis comes back everybody is subscribed to again, also who came meanwhile and had not to wait; only then it is
// told that something may have been missed.
func TestPerUserIsRestored(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := perUser(server.Addr())
	cfg.UnsubscribeDelay = -1
	gaps := make(chan int, 10)
	var under atomic.Pointer[Feed]
	cfg.Gap = func(time.Time) { gaps <- under.Load().subs.Lost() }
	var sink collector
	feed := connected(t, cfg, &sink)
	under.Store(feed.Feed)
	const users = 5000
	for i := range users {
		join(t, feed.Feed, fmt.Sprint("user", i))
	}
	server.Kill()
	redistest.WaitFor(t, "the link to be lost", func() bool { return !feed.Status().Connected })
	redistest.WaitFor(t, "it to be of no use to wait", func() bool { return feed.linkWait.Away() })
	if !feed.Acquire("late", nil) {
		t.Error("who comes while redis is away has to wait")
	}
	feed.Release("user1")
	server.Restart()
	redistest.WaitFor(t, "all to be subscribed", func() bool { return feed.Status().Users == Users{Subscribed: users} })
	select {
	case lost := <-gaps:
		if lost != 0 {
			t.Errorf("the gap was told while %d were lost", lost)
		}
	case <-time.After(redistest.Patience):
		t.Fatal("no gap was told")
	}
	for _, user := range []string{"user0", "user4999", "late"} {
		server.Publish("user_noti:"+user, "x")
		redistest.WaitFor(t, "a notification for "+user, func() bool { return sink.has(notification{user, "x"}) })
	}
	if n := subscribers(t, server, "user_noti:user1"); n != 0 {
		t.Error("who left is subscribed to")
	}
	if s := feed.Status(); s.Gaps != 1 {
		t.Errorf("status %+v", s)
	}
}

// Waiters are admitted when the link is lost.
func TestPerUserDoesNotWaitForALostLink(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	feed := connected(t, perUser(server.Addr()), &collector{})
	server.Pause()
	w := make(awaited, 1)
	if feed.Acquire("alice", w) {
		t.Fatal("subscribed, while redis stands still")
	}
	server.Kill()
	select {
	case <-w:
	case <-time.After(redistest.Patience):
		t.Fatal("still waiting")
	}
	redistest.WaitFor(t, "it to be known that alice may miss something", func() bool { return feed.subs.Lost() == 1 })
}
