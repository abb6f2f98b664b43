package hub

import "testing"

func TestWithoutResume(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	c := new(fakeConn)
	total, ofUser, w, err := h.Arrive(c, Arrival{User: "alice", Since: "abc"})
	if total != 1 || ofUser != 1 || err != nil || w.ID != "" || w.Result != ResumeNotAsked || len(w.Missed) != 0 {
		t.Errorf("%d in all, %d of alice, %+v, %v", total, ofUser, w, err)
	}
	if _, ok := h.Position(c); ok || h.Resumes() {
		t.Error("there are positions")
	}
}

// A health check's connection is not in the stream.
func TestProbesHaveNoPosition(t *testing.T) {
	t.Parallel()
	h := resuming(t, Limits{})
	if total, _, w, err := h.Arrive(&client{}, Arrival{User: "\x00probe"}); total != 0 || err != nil || w.ID != "" {
		t.Errorf("%d in all, %+v, %v", total, w, err)
	}
}
