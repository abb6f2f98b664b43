package hub

import (
	"context"
	"testing"
	"time"

	"roost/internal/position"
	"roost/wsproto"
)

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

// A position is that of one connection: what waits for others does not hold it back.
func TestPositionIsThatOfTheConnection(t *testing.T) {
	t.Parallel()
	h := resuming(t, Limits{})
	idle, member := &client{}, &client{}
	arrive := func(c *client, user string, groups ...string) {
		if _, _, _, err := h.Arrive(c, Arrival{User: user, Groups: groups}); err != nil {
			t.Fatal(err)
		}
	}
	arrive(idle, "alice", "quiet")
	arrive(member, "bob", "busy")
	at := func(c *client) position.Position {
		t.Helper()
		p, ok := h.Position(c)
		if !ok {
			t.Fatal("no position")
		}
		return p
	}
	h.Deliver("bob", numbered(0))
	before := at(member)
	h.DeliverGroup("busy", numbered(1)) // nobody delivers it yet
	h.Deliver("carol", numbered(2))
	if got, want := at(idle), h.stream.ring.Head(); got != want {
		t.Errorf("the idle one is at %s, and all has come up to %s", got, want)
	}
	if got := at(member); got != before {
		t.Errorf("the member is at %s, and what waits for it is behind %s", got, before)
	}
	h.Deliver("bob", numbered(3)) // behind what waited
	got := member.take()
	if last := receive(t, got[len(got)-1]); len(got) != 3 || at(member).String() != last.ID {
		t.Errorf("%d came, and it is at %s, not %s", len(got), at(member), last.ID)
	}
	if p, ok := h.Before(got[1]); !ok || p != before {
		t.Errorf("before the broadcast it was at %s, %v; want %s", p, ok, before)
	}
	h.Broadcast(numbered(4))
	behind := at(idle)
	h.DeliverGroup("quiet", numbered(5))
	if got := at(idle); got != behind || got.String() == h.stream.ring.Head().String() {
		t.Errorf("with two that wait it is at %s, want %s", got, behind)
	}
	go h.RunBroadcasts(func() {})
	h.EndBroadcasts(context.Background())
	for _, c := range []*client{idle, member} {
		if got, want := at(c), h.stream.ring.Head(); got != want {
			t.Errorf("in the end it is at %s, want %s", got, want)
		}
	}
}

// handedConn looks for its own position while it is handed something.
type handedConn struct {
	client
	look func()
}

func (c *handedConn) Deliver(n *Notification) {
	c.look()
	c.client.Deliver(n)
	c.look()
}

func TestNoPositionWhileHandedOver(t *testing.T) {
	t.Parallel()
	h := resuming(t, Limits{})
	c, other := &handedConn{}, &client{}
	looks := 0
	c.look = func() {
		looks++
		if p, ok := h.Position(c); ok {
			t.Errorf("it is at %s while it is handed something", p)
		}
		if _, ok := h.Position(other); !ok {
			t.Error("another one has no position meanwhile")
		}
	}
	_, _, _, err := h.Arrive(c, Arrival{User: "alice", Groups: []string{"g"}})
	if _, _, _, err2 := h.Arrive(other, Arrival{User: "bob"}); err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	h.Deliver("alice", numbered(1))
	h.DeliverGroup("g", numbered(2))
	go h.RunBroadcasts(func() {})
	h.EndBroadcasts(context.Background())
	if len(c.take()) != 2 || looks != 4 {
		t.Errorf("looked %d times", looks)
	}
}

// A client that is sent away for a moment is told up to where it has everything; one that is to stay away is not.
func TestDisconnectNamesThePosition(t *testing.T) {
	t.Parallel()
	h := resuming(t, Limits{})
	for command, named := range map[string]bool{`{"disconnect":{"code":4401}}`: true, `{"disconnect":{"code":4403}}`: false} {
		c := &endedConn{}
		if _, _, _, err := h.Arrive(c, Arrival{User: "alice"}); err != nil {
			t.Fatal(err)
		}
		h.Deliver("alice", numbered(1))
		want := ""
		if named {
			want = h.stream.ring.Head().String()
		}
		if h.Control("alice", command); c.id != want {
			t.Errorf("%s: it is told %q, want %q", command, c.id, want)
		}
	}
}

type endedConn struct {
	client
	id string
}

func (c *endedConn) Disconnect(_ wsproto.CloseCode, _, id string) { c.id = id }

// With a subscription for each user nobody resumes across a time in which the user was not heard.
func TestNobodyResumesAcrossATimeUnheard(t *testing.T) {
	t.Parallel()
	heard := map[string]bool{"alice": true, "bob": true}
	h := New(Config{Logger: quiet(), Resume: Resume{
		Memory: make([]byte, MinResumeMemory), Window: time.Minute, Hears: func(user string) bool { return heard[user] },
	}})
	arrive := func(user, since string) (*client, Welcome) {
		t.Helper()
		c := &client{}
		_, _, w, err := h.Arrive(c, Arrival{User: user, Since: since})
		if err != nil {
			t.Fatal(err)
		}
		return c, w
	}
	c, w := arrive("alice", "")
	_, bobs := arrive("bob", "")
	before := w.ID
	h.Remove(c)
	h.Deliver("alice", numbered(1))
	if _, w := arrive("alice", before); w.Result != ResumeDone || len(w.Missed) != 1 {
		t.Errorf("while she was heard: %+v", w)
	}
	heard["alice"] = false
	if _, w := arrive("alice", before); w.Result != ResumeRefused {
		t.Errorf("while she is not heard: %+v", w)
	}
	heard["alice"] = true
	since := time.Now()
	other, _ := arrive("alice", "")
	h.UserHeard("alice", since)
	if got := other.take(); len(got) != 1 || got[0].Lost != LostFeed || got[0].After != since.UnixMilli() {
		t.Errorf("one that was here got %+v", got)
	}
	at, _ := h.Position(other)
	h.UserHeard("carol", time.Time{})
	for id, want := range map[string]ResumeResult{before: ResumeRefused, at.String(): ResumeDone} {
		if _, w := arrive("alice", id); w.Result != want || len(w.Missed) != 0 {
			t.Errorf("from %s: %+v", id, w)
		}
	}
	if _, w := arrive("bob", bobs.ID); w.Result != ResumeDone {
		t.Errorf("another user: %+v", w)
	}
	if got := h.Stats().Resume.Results["unheard"]; got != 2 {
		t.Errorf("%d were refused as unheard", got)
	}
}
