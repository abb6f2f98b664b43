package subs

import (
	"testing"
	"testing/synctest"
	"time"
)

// Handshakes wait while there is no link, until a second after the start or the loss at most.
func TestLinkWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		given := 0
		l := LinkWait{GaveUp: func() { given++ }}
		wait := func(what string) awaited {
			t.Helper()
			w := make(awaited, 1)
			if l.Acquire(w) {
				t.Fatalf("%s: need not wait", what)
			}
			return w
		}
		enter := func(what string) {
			t.Helper()
			if !l.Acquire(nil) {
				t.Fatalf("%s: has to wait", what)
			}
		}
		connect := func(what string, wantMissed bool) {
			t.Helper()
			missed, waiters := l.Up()
			if Tell(waiters); missed != wantMissed {
				t.Fatalf("%s: missed: %t", what, missed)
			}
		}

		l.Down()
		early := wait("before the first link")
		time.Sleep(WaitLimit - time.Millisecond)
		connect("in time", false)
		if len(early) != 1 {
			t.Fatal("who waited for the first link is not told")
		}
		enter("with a link")
		time.Sleep(time.Hour)

		l.Down()
		lost := wait("after a loss")
		time.Sleep(WaitLimit / 2)
		l.Down() // an attempt has failed: that is no other loss
		late := wait("after a failed attempt")
		time.Sleep(WaitLimit / 2)
		synctest.Wait()
		if len(lost) != 1 || len(late) != 1 || given != 1 {
			t.Fatalf("a second after the loss %d and %d are told, %d times given up", len(lost), len(late), given)
		}
		enter("a second after the loss")
		connect("too late", true)

		l.Down()
		connect("at once", false)
		time.Sleep(time.Hour)
		synctest.Wait()
		if given != 1 {
			t.Fatalf("given up %d times, with a link", given)
		}

		l.Down()
		last := wait("at the end")
		l.End()
		synctest.Wait()
		if len(last) != 1 {
			t.Fatal("who waits at the end is not told")
		}
		enter("after the end")
	})
}
