package subs

import (
	"testing"
	"time"
)

// A waiter that leaves is freed, also while the user has another connection, and while a shard subscribes nobody for hours.
func TestForgetsWaitersWhoHaveLeft(t *testing.T) {
	t.Parallel()
	a := New(0, new(LinkWait))
	heardOf := 0
	first := make(awaited, 1)
	a.Acquire("alice", first)
	const churn = 10_000
	for range churn {
		if a.Acquire("alice", countedWaiter{&heardOf}) {
			t.Fatal("need not wait")
		}
		a.Release("alice", time.Now())
	}
	s := a.shard("alice")
	if n := len(s.waiters["alice"]); n > 100 {
		t.Errorf("%d wait, of %d connections", n, s.users.Get("alice").conns)
	}
	if !a.Subscribing("alice", 1) {
		t.Fatal("not to be subscribed")
	}
	if since := a.Confirmed("alice", 1); since == 0 {
		t.Error("who was let go without may have missed something, and is not told")
	}
	if len(first) != 1 {
		t.Error("the first is not told")
	}
	if heardOf != churn {
		t.Errorf("%d of %d were told", heardOf, churn)
	}
}

type countedWaiter struct{ n *int }

func (w countedWaiter) Subscribed() { *w.n++ }
