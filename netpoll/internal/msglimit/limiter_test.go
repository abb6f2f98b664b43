package msglimit

import (
	"testing"
	"time"

	"roost/internal/shrinkmap"
)

type conn struct{ _ int }

// Clients that only answer pings are not remembered for it.
func TestQuietClientsAreNotRemembered(t *testing.T) {
	t.Parallel()
	t1 := new(Limiter[*conn])
	c := new(conn)
	for i := range 20 {
		if !t1.Allow(c, 1, 5, 20) {
			t.Fatalf("thing %d of a burst of 20 is too much", i)
		}
	}
	if t1.Allow(c, 1, 5, 20) {
		t.Error("the burst has no end")
	}
	if t1.Tidy(c, 1); t1.Len() != 1 {
		t.Error("a busy client was forgotten")
	}
	if t1.Tidy(c, 1<<40); t1.Len() != 0 {
		t.Error("a client that fell silent is remembered")
	}
	if !t1.Allow(c, 1<<40, 5, 20) {
		t.Error("after a silence the burst is not allowed again")
	}
}

// After a flood the room for all who took part in it goes; those who still talk
// keep what they have used up.
func TestLimiterGivesMemoryBack(t *testing.T) {
	t.Parallel()
	const burst = 20
	var all Limiter[*conn]
	many := make([]conn, 10_000)
	for i := range many {
		all.Allow(&many[i], 1, 5, burst)
	}
	stays := &many[0]
	for range burst - 1 {
		all.Allow(stays, 1, 5, burst)
	}
	for i := range many[1:] {
		all.Forget(&many[1+i])
	}
	if all.whole.Room() > shrinkmap.Kept || all.Len() != 1 {
		t.Errorf("of %d %d are left, in room for %d", len(many), all.Len(), all.whole.Room())
	}
	if all.Allow(stays, 1, 5, burst) {
		t.Error("who talked all the time has a new allowance")
	}
	all.Tidy(stays, time.Hour)
	if all.Len() != 0 {
		t.Error("the last one is remembered")
	}
}

// A rate that is raised ends nobody for what was counted by the lower one.
func TestLimiterForgetsAnotherRate(t *testing.T) {
	t.Parallel()
	var all Limiter[*conn]
	c := new(conn)
	now := time.Minute
	for range 100 {
		if !all.Allow(c, now, 10, 100) {
			t.Fatal("within the burst it is too much")
		}
	}
	if !all.Allow(c, now, 1000, 1000) {
		t.Error("a higher rate ends it")
	}
	if !all.Allow(c, now, 1, 1) || all.Allow(c, now, 1, 1) {
		t.Error("a lower rate does not count from its beginning")
	}
}
