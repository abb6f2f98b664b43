package hub

import "testing"

func TestMarksGoRound(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		mark, ordinal uint32
		had           bool
	}{
		{5, 5, true}, {5, 4, true}, {5, 6, false}, {1<<32 - 1, 0, false}, {0, 1<<32 - 1, true}, {1<<32 - 3, 4, false},
	} {
		if got := had(tc.mark, tc.ordinal); got != tc.had {
			t.Errorf("a connection with mark %d has had %d: %v", tc.mark, tc.ordinal, got)
		}
	}
}

// A connection that gets nothing for very long must not seem to have had what is new.
func TestOldMarksAreRefreshed(t *testing.T) {
	t.Parallel()
	h := resuming(t, Limits{})
	idle, busy := &client{}, &client{}
	for _, c := range []*client{idle, busy} {
		if _, _, _, err := h.Arrive(c, Arrival{User: "alice"}); err != nil {
			t.Fatal(err)
		}
	}
	const now = 3 << 30 // with a mark of 0 it looks older than that
	busy.link.mark = now - 5
	h.refreshMarks(1<<31 - 1)
	h.refreshMarks(now - 1<<30 + 1)
	h.refreshMarks(now)
	if had(idle.link.mark, now+1) || busy.link.mark != now-5 {
		t.Errorf("the marks are %d and %d", idle.link.mark, busy.link.mark)
	}
}
