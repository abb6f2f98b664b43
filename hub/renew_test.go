package hub

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/hub/internal/ring"
	"roost/internal/names"
	"roost/internal/position"
)

func TestRenew(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		before  []string
		command string
		renewed []string
		want    []string
	}{
		"the same":                         {[]string{"a", "b"}, "", []string{"a", "b"}, []string{"a", "b"}},
		"others":                           {[]string{"a", "b"}, "", []string{"b", "c"}, []string{"b", "c"}},
		"none any more":                    {[]string{"a", "b"}, "", nil, nil},
		"the first ones":                   {nil, "", []string{"a"}, []string{"a"}},
		"joined by a command, stays":       {[]string{"a"}, `{"join":["room"]}`, []string{"b"}, []string{"b", "room*"}},
		"joined by a command, and named":   {[]string{"a"}, `{"join":["room"]}`, []string{"room"}, []string{"room*"}},
		"left by a command, named again":   {[]string{"a"}, `{"leave":["a"]}`, []string{"a"}, []string{"a"}},
		"left by a command, not named":     {[]string{"a", "b"}, `{"leave":["a"]}`, []string{"b"}, []string{"b"}},
		"the token's, joined by a command": {[]string{"a"}, `{"leave":["a"],"join":["a"]}`, nil, []string{"a*"}},
	} {
		for _, resume := range []bool{false, true} {
			h := New(Config{Logger: quiet()})
			if resume {
				h = resuming(t, Limits{})
			}
			c, other := mustAdmit(t, h, "alice", tt.before...), mustAdmit(t, h, "alice", tt.before...)
			if tt.command != "" {
				h.Control("alice", tt.command)
			}
			others := groupNames(other, h)
			for range 2 { // again changes nothing
				h.Renew(c, tt.renewed)
				if got := groupNames(c, h); !slices.Equal(got, tt.want) {
					t.Errorf("%s, resume %v: in %q, want %q", name, resume, got, tt.want)
				}
			}
			if got := groupNames(other, h); !slices.Equal(got, others) {
				t.Errorf("%s: another connection of the user is in %q, was in %q", name, got, others)
			}
			partial := slices.ContainsFunc(tt.want, func(group string) bool { return group[len(group)-1] == '*' })
			if resume && h.stream.isPartial(&c.link) != partial {
				t.Errorf("%s: positions are partial: %v", name, !partial)
			}
			h.Remove(c)
			h.Remove(other)
			h.Renew(c, []string{"late"})
			checkNoGroups(t, h)
		}
	}
}

// A token's groups and those that commands had it join are bounded together.
func TestRenewIsBounded(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	c := mustAdmit(t, h, "alice")
	h.Control("alice", `{"join":["one","two"]}`)
	var all []string
	for i := range names.MaxGroups {
		all = append(all, fmt.Sprintf("group-%03d", i))
	}
	h.Renew(c, all)
	if n, refused := len(h.GroupsOf(c)), h.Stats().GroupChanges["refused"]; n != names.MaxGroups || refused != 2 {
		t.Errorf("in %d groups, %d were refused", n, refused)
	}
}

// A connection gets what was heard for groups that it leaves, and nothing that was heard before for those that it joins.
func TestRenewIsInOrder(t *testing.T) {
	t.Parallel()
	for _, resume := range []bool{false, true} {
		h := New(Config{Logger: quiet()})
		if resume {
			h = resuming(t, Limits{})
		}
		alice := &client{}
		others := map[*client]string{{}: "old", {}: "new"}
		if _, _, _, err := h.Arrive(alice, Arrival{User: "alice", Groups: []string{"old"}}); err != nil {
			t.Fatal(err)
		}
		for c, group := range others {
			if _, _, _, err := h.Arrive(c, Arrival{User: group, Groups: []string{group}}); err != nil {
				t.Fatal(err)
			}
		}
		h.DeliverGroup("old", numbered(1))
		h.DeliverGroup("new", numbered(2))
		h.Renew(alice, []string{"new"})
		h.DeliverGroup("old", numbered(3))
		h.DeliverGroup("new", numbered(4))
		ended := make(chan struct{})
		go func() {
			h.RunBroadcasts(func() {})
			close(ended)
		}()
		h.EndBroadcasts(t.Context())
		<-ended
		all := alice.take()
		if got := payloads(all); !slices.Equal(got, []string{"1", "4"}) {
			t.Errorf("resume %v: got %q, want the first and the fourth", resume, got)
		}
		if !resume {
			continue
		}
		for _, n := range all {
			if id := receive(t, n).ID; position.IsPartial(id) {
				t.Errorf("the position %q is partial", id)
			}
		}
	}
}

// Renewals beside commands, deliveries and connections that end: the race detector watches, and nothing is left.
func TestRenewBesideOthers(t *testing.T) {
	t.Parallel()
	for _, resume := range []bool{false, true} {
		h := New(Config{Logger: quiet()})
		if resume {
			h = resuming(t, Limits{})
		}
		ended := make(chan struct{})
		go func() {
			h.RunBroadcasts(func() {})
			close(ended)
		}()
		c := &client{}
		if _, _, _, err := h.Arrive(c, Arrival{User: "alice", Groups: []string{"group-0"}}); err != nil {
			t.Fatal(err)
		}
		renewed := make(chan struct{})
		go func() {
			defer close(renewed)
			for range 300 {
				groups := someGroups()
				slices.Sort(groups)
				h.Renew(c, groups)
			}
		}()
		for i := range 300 {
			switch rand.IntN(3) {
			case 0:
				h.Control("alice", `{"join":["group-1"],"leave":["group-2"]}`)
			case 1:
				h.DeliverGroup(fmt.Sprint("group-", i%4), numbered(i))
			default:
				h.Deliver("alice", numbered(i))
			}
		}
		h.Remove(c)
		<-renewed
		h.EndBroadcasts(t.Context())
		<-ended
		checkNoGroups(t, h)
	}
}

// What was heard before the renewal is not for the connection in the process after an upgrade either.
func TestRenewedBeforeAHandover(t *testing.T) {
	t.Parallel()
	old, next := New(Config{Logger: quiet()}), New(Config{Logger: quiet()})
	alice, bob := mustAdmit(t, old, "alice"), mustAdmit(t, old, "bob", "g")
	old.DeliverGroup("g", `{"type":"early"}`)
	old.Renew(alice, []string{"g"})
	old.DeliverGroup("g", `{"type":"late"}`)
	goOn(t, old, next)
	broadcasting(t, next)
	waitUntil(t, "what waits", done(next))
	if count(alice, "early") != 0 || count(alice, "late") != 1 || bob.count() != 2 {
		t.Errorf("alice got %q, bob %q", alice.got, bob.got)
	}
	next.Renew(alice, nil) // as in the process before, the group is the token's
	if got := next.GroupsOf(alice); len(got) != 0 {
		t.Errorf("in %v", got)
	}
}

// A token that is renewed while much is published costs a connection nothing of the group that it stays in.
func TestRenewWhileMuchIsPublished(t *testing.T) {
	t.Parallel()
	const total = 400
	payload := func(n int) string { // reading it takes a moment
		return fmt.Sprintf(`{"type":"n","payload":%d,"x":"%s"}`, n, strings.Repeat("x", 20_000))
	}
	for name, h := range map[string]*Hub{"plain": New(Config{Logger: quiet()}), "resuming": resuming(t, Limits{})} {
		broadcasting(t, h)
		alice := &client{}
		if _, _, _, err := h.Arrive(alice, Arrival{User: "alice", Groups: []string{"g", "a"}}); err != nil {
			t.Fatal(err)
		}
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					h.Renew(alice, []string{"g", string(rune('a' + i%2))})
				}
			}
		}()
		for n := range total {
			h.DeliverGroup("g", payload(n))
			waitUntil(t, "room", func() bool { return h.BroadcastsWaiting() < maxBroadcasts/2 })
		}
		close(stop)
		<-stopped
		waitUntil(t, "what waits", done(h))
		got := payloads(alice.take())
		for n := range total {
			if n >= len(got) || got[n] != fmt.Sprint(n) {
				t.Errorf("%s: got %d of %d; number %d is missing", name, len(got), total, n)
				break
			}
		}
	}
}

// Who leaves a group by a renewal that comes between the counting of a notification and its queueing still gets that.
func TestRenewInTheMiddleOfABroadcast(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]*Hub{"plain": New(Config{Logger: quiet()}), "resuming": resuming(t, Limits{})} {
		alice := &client{}
		if _, _, _, err := h.Arrive(alice, Arrival{User: "alice", Groups: []string{"g"}}); err != nil {
			t.Fatal(err)
		}
		h.hearing.Lock() // as DeliverGroup does
		b, now := &broadcast{group: "g"}, h.cfg.Now()
		if h.stream != nil {
			h.heardBroadcast(b, ring.Group, numbered(1), now)
		}
		b.number = h.groupNumber.Add(1)
		renewed := make(chan struct{})
		go func() { defer close(renewed); h.Renew(alice, nil) }()
		select { // a renewal that waits for nothing ends now
		case <-renewed:
		case <-time.After(50 * time.Millisecond):
		}
		h.enqueue(b, numbered(1), now, slog.String("group", "g"))
		h.hearing.Unlock()
		<-renewed
		if got := payloads(alice.take()); !slices.Equal(got, []string{"1"}) {
			t.Errorf("%s: got %q", name, got)
		}
	}
}
