package presence

import (
	"fmt"
	"io"
	"testing"
	"time"

	"roost/redisfeed/redistest"
)

// Each change of all instances together is told to the one that made it, at Redis's time, and to no other.
func TestEventsOfTwoInstances(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(server.Addr())
	one, two := startInstance(t, cfg, time.Minute), startInstance(t, cfg, time.Minute)
	wait := func(of *instance, user, want string) {
		t.Helper()
		redistest.WaitFor(t, fmt.Sprintf("the events %q of %s", want, user), func() bool { return of.got.of(user) == want })
	}
	one.set(1, "alice", "bob")
	wait(one, "alice", "+")
	wait(one, "bob", "+")
	two.set(2, "alice")
	waitInstances(t, cfg, "alice", 2)
	one.set(0, "alice")
	waitInstances(t, cfg, "alice", 1)
	two.set(0, "alice")
	wait(two, "alice", "-")
	one.set(1, "alice")
	wait(one, "alice", "++")
	one.end()
	wait(one, "alice", "++-")
	wait(one, "bob", "+-")
	two.end()
	if got := two.got.of("alice") + two.got.of("bob"); got != "-" {
		t.Errorf("the other instance got %q", got)
	}
	now := server.Client().Time(t.Context()).Val()
	for _, e := range append(one.got.all, two.got.all...) {
		if off := now.Sub(e.At).Abs(); off > time.Hour { // whatever is done to the clock meanwhile
			t.Errorf("%v is %s off Redis's time", e, off)
		}
	}
}

// A user whose arrival got no answer is told of once there is one: Redis may have counted it the first time.
func TestEventWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := patient(t, quick(server.Addr()), time.Minute, newPeople(), nil)
	defer p.pool.Close()
	got := new(gotten)
	p.tell = got.add
	users := p.registry.(*people)
	users.set(1, "alice")
	p.take(time.Now())
	p.write(t.Context(), []string{"alice"})
	// As if the answer to it had been lost.
	got.all = nil
	p.pending.Put("alice", change{since: time.Now()})
	p.didNotWrite(failed{user: "alice", sent: true}, time.Now())
	p.again(time.Now())
	p.write(t.Context(), []string{"alice"})
	if all := got.of("alice"); all != "+" {
		t.Errorf("got %q, want +", all)
	}
	p.write(t.Context(), []string{"alice"}) // a renewal
	users.set(0, "alice")
	p.take(time.Now())
	p.write(t.Context(), []string{"alice"})
	if all := got.of("alice"); all != "+-" {
		t.Errorf("got %q, want +-", all)
	}

	// An event that was not sent, or was refused, is in no doubt.
	for name, one := range map[string]failed{"not sent": {user: "bob"}, "a renewal": {user: "carol", sent: true}} {
		users.set(1, one.user)
		p.take(time.Now())
		p.write(t.Context(), []string{one.user})
		if name == "a renewal" {
			p.didNotWrite(one, time.Now())
		} else {
			p.pending.Put(one.user, change{since: time.Now()})
			p.didNotWrite(one, time.Now())
		}
		p.again(time.Now())
		p.write(t.Context(), []string{one.user})
		if all := got.of(one.user); all != "+" {
			t.Errorf("%s: got %q, want +", name, all)
		}
	}
}

// The doubt whether Redis has told of an arrival goes along in a handover.
func TestEventWithoutAnAnswerBeforeAHandover(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	got := new(gotten)
	users := newPeople()
	made := func() *Writer {
		p := patient(t, quick(server.Addr()), time.Minute, users, got.add)
		t.Cleanup(func() { _ = p.pool.Close() })
		return p
	}
	old := made()
	users.set(1, "alice", "bob")
	old.take(time.Now())
	old.write(t.Context(), []string{"alice", "bob"})
	got.all = nil
	for user, sent := range map[string]bool{"alice": true, "bob": false} {
		old.pending.Put(user, change{since: time.Now()})
		old.didNotWrite(failed{user: user, sent: sent}, time.Now())
	}
	section := state(t, old)
	old.Commit()
	next := made()
	if err := next.Import(section, nil); err != nil {
		t.Fatal(err)
	}
	if err := next.FinishImport(); err != nil {
		t.Fatal(err)
	}
	next.finishImport(time.Now())
	next.write(t.Context(), []string{"alice", "bob"})
	if alice, bob := got.of("alice"), got.of("bob"); alice != "+" || bob != "" {
		t.Errorf("got %q and %q, want + and nothing", alice, bob)
	}
}

// An error that Redis has answered says that it has done nothing.
func TestAnswered(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	refused := server.Client().Do(t.Context(), "NOSUCHCOMMAND").Err()
	if refused == nil || !answered(fmt.Errorf("wrapped: %w", refused)) {
		t.Errorf("%v is what Redis answered", refused)
	}
	if answered(io.ErrUnexpectedEOF) {
		t.Error("an error of the connection is no answer")
	}
}
