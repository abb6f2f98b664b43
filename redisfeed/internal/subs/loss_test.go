package subs

import (
	"testing"
	"time"

	"roost/redisfeed/internal/boottime"
)

// The gap of several is the earliest of theirs, in whatever order they are noticed, and it is over when nobody has it.
func TestLosses(t *testing.T) {
	t.Parallel()
	var l losses
	l.add(1000)
	if !l.first() || l.first() {
		t.Error("a gap is counted once")
	}
	l.add(400)
	l.add(700)
	l.widen(300)
	for range 2 {
		if since := l.take(); since != 300 {
			t.Errorf("since %d, want 300", since)
		}
	}
	l.widen(0)
	if since := l.take(); since != 300 || l.count() != 0 {
		t.Errorf("since %d, want 300; %d are left", since, l.count())
	}
	l.widen(5) // nobody is in
	l.add(2000)
	if !l.first() {
		t.Error("the next gap is not counted")
	}
	if since := l.take(); since != 2000 {
		t.Errorf("the next gap is since %d, want 2000", since)
	}
}

// A gap whose users have all left is over: those of a later one are not told of it.
func TestForgetsAGapThatNobodyHas(t *testing.T) {
	t.Parallel()
	a := New(0, new(LinkWait))
	subscribe := func(user string, link uint16) boottime.Instant {
		a.Acquire(user, make(awaited, 1))
		if !a.Subscribing(user, link) {
			t.Fatalf("%s is not to be subscribed", user)
		}
		return a.Confirmed(user, link)
	}
	for _, user := range []string{"alice", "bob"} {
		if since := subscribe(user, 1); since != 0 {
			t.Fatalf("%s has missed something since %d", user, since)
		}
	}
	if n := a.LinkLost(1, 100, false); n != 2 {
		t.Fatalf("%d are lost, want 2", n)
	}
	if n := a.LinkLost(1, 50, false); n != 0 { // they are on no link now
		t.Fatalf("%d are lost again", n)
	}
	a.Release("alice", time.Now())
	a.Release("bob", time.Now())
	a.Expire(nil, time.Now().Add(time.Hour))
	if s := a.Counts(); s != (Counts{}) || a.Lost() != 0 {
		t.Fatalf("%+v are left, %d lost", s, a.Lost())
	}
	subscribe("alice", 2)
	a.LinkLost(2, 900, false)
	a.Subscribing("alice", 3)
	if since := a.Confirmed("alice", 3); since != 900 {
		t.Errorf("told of a gap since %d, want 900", since)
	}
}

// Two shards are lost, the second of them, which hung, since before the first. Everybody's gap begins where the first
// thing was lost.
func TestMergesGaps(t *testing.T) {
	t.Parallel()
	a := New(0, new(LinkWait))
	for i, user := range []string{"alice", "bob"} {
		a.Acquire(user, make(awaited, 1))
		a.Subscribing(user, uint16(i+1))
		a.Confirmed(user, uint16(i+1))
	}
	a.LinkLost(1, 900, false)
	a.LinkLost(2, 400, false)
	for i, user := range []string{"alice", "bob"} {
		a.Subscribing(user, uint16(i+3))
		if since := a.Confirmed(user, uint16(i+3)); since != 400 {
			t.Errorf("%s is told of a gap since %d, want 400", user, since)
		}
	}
}

// awaited is a Waiter that can be waited for.
type awaited chan struct{}

func (w awaited) Subscribed() { w <- struct{}{} }
