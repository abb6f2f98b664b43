package ring

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"roost/internal/position"
)

var most = Bounds{Items: 256, Bytes: 1 << 20}

func newRing(window time.Duration) *Ring {
	r := New(make([]byte, MinMemory), window)
	r.Reset(7, 0)
	return r
}

func TestNothingMissed(t *testing.T) {
	r := newRing(time.Minute)
	start := r.Head()
	for i := range int64(3) {
		if missed, _, why := r.Since(start, []Key{{User, "a"}}, most); len(missed) > 0 || why != NotRefused {
			t.Fatal(missed, why)
		}
		start = r.Append(Key{User, "b"}, "x", true, i)
	}
}

func TestMarkersDoNotEndAStream(t *testing.T) {
	r := newRing(time.Hour)
	before := r.Head()
	for i := range int64(10) {
		r.Append(Key{User, "a"}, "x", true, i)
		r.Mark(uint64(100+i), i)
	}
	missed, _, why := r.Since(before, []Key{{User, "a"}}, most)
	if len(missed) != 10 || why != NotRefused {
		t.Fatal(len(missed), why)
	}
	for i, one := range missed { // each position is one that can be resumed from
		if rest, _, why := r.Since(one.Position, []Key{{User, "a"}}, most); len(rest) != 9-i || why != NotRefused {
			t.Errorf("%d: %d are left, %q", i, len(rest), why)
		}
	}
}

// Positions count from a marker once other instances have heard it too; those that count from it are known at once.
func TestMarkersAreConfirmed(t *testing.T) {
	a, b := New(make([]byte, MinMemory), time.Minute), New(make([]byte, MinMemory), time.Minute)
	a.Reset(1, 0)
	b.Reset(2, 0)
	hears := func(r *Ring, payload string) position.Position { return r.Append(Key{User, "a"}, payload, true, 1) }
	hears(a, "0")
	hears(b, "0")
	a.Mark(10, 0) // a has only a marker of its own, which nobody else knows
	b.Mark(10, 0)
	if at := hears(a, "1"); at.Marker != 10 || hears(b, "1") != at {
		t.Fatalf("the first marker: at %+v", at)
	}
	a.Mark(11, 2)
	if at := a.Head(); at.Marker != 10 || at != b.Head() {
		t.Fatalf("a marker that b has not heard: at %+v", at)
	}
	first := hears(a, "2")
	b.Mark(11, 4)
	a.Confirm(99) // not known here
	a.Confirm(11)
	second := hears(a, "3")
	if first.Marker != 10 || second.Marker != 11 || second.Count != 2 {
		t.Fatalf("at %+v, then at %+v", first, second)
	}
	if !b.Ahead(second, 5, 5) {
		t.Error("b does not know that it is not so far yet")
	}
	hears(b, "2")
	hears(b, "3")
	if missed, _, why := b.Since(second, []Key{{User, "a"}}, most); len(missed) != 0 || why != NotRefused {
		t.Errorf("b still counts from the marker before: %d missed, %q", len(missed), why)
	}
	b.Confirm(11)
	if b.Confirm(10); b.Head() != second {
		t.Errorf("b is at %+v", b.Head())
	}
	missed, _, why := a.Since(position.Position{Marker: 11}, []Key{{User, "a"}}, most)
	if len(missed) != 2 || why != NotRefused || missed[0].Position != first || missed[1].Position != second {
		t.Errorf("replayed with other ids: %+v, %q", missed, why)
	}
	for _, p := range []position.Position{first, second} {
		p.Check ^= 1
		if _, _, why := a.Since(p, nil, most); why != Mismatch {
			t.Errorf("%+v has another check: %q", p, why)
		}
	}
}

// A position that is ahead may still come, until Redis is known to have sent nothing of the kind.
func TestAhead(t *testing.T) {
	lag := position.MaxLag.Milliseconds()
	r := newRing(time.Hour)
	r.Mark(10, 0)
	at := func(count uint64) position.Position { return position.Position{Marker: 10, Count: count} }
	for i, test := range []struct {
		count       uint64
		now, proven int64
		hears       bool
		want        bool
	}{
		{count: 0, now: 1000, proven: 900, want: false},
		{count: 2, now: 1000, proven: 900, want: true},
		{count: 3, now: 90_000, proven: 999 + lag, want: true},   // the link stands still
		{count: 3, now: 90_000, proven: 1000 + lag, want: false}, // it doesn't
		{count: 1, now: 90_000, proven: 90_000, want: true},      // somebody is not so far ahead
		{count: 2, now: 95_000, proven: 90_001, hears: true, want: true},
		{count: 2, now: 96_000, proven: 94_999 + lag, want: true}, // what was nearer has come
		{count: 2, now: 99_000, proven: 95_000 + lag, want: false},
	} {
		if test.hears {
			r.Append(Key{User, "a"}, "x", true, test.now)
		}
		if got := r.Ahead(at(test.count), test.now, test.proven); got != test.want {
			t.Errorf("%d: %+v: %v", i, test, got)
		}
	}
	r.Reset(11, 0)
	if r.Ahead(at(9), 1, 0) || r.Knows(at(9)) || !r.Knows(position.Position{Marker: 11}) {
		t.Error("a position of another stream is ahead, or known")
	}
}

// A marker that comes twice must not make two places of one position.
func TestMarkerTwice(t *testing.T) {
	r := newRing(time.Hour)
	r.Mark(7, 1)
	at := r.Head()
	r.Append(Key{User, "a"}, "x", true, 2)
	r.Mark(7, 3)
	if missed, _, why := r.Since(at, []Key{{User, "a"}}, most); len(missed) != 1 || why != NotRefused {
		t.Errorf("%d missed, %q", len(missed), why)
	}
}

func TestRefusals(t *testing.T) {
	r := newRing(time.Second)
	old := r.Append(Key{User, "a"}, "x", true, 1000)
	mid := r.Append(Key{User, "a"}, "y", true, 1500)
	r.Append(Key{User, "a"}, "z", true, 2400) // the first is older than a second
	ask := func(p position.Position) Refusal {
		_, _, why := r.Since(p, []Key{{User, "a"}}, most)
		return why
	}
	if why := ask(old); why != NotRefused {
		t.Errorf("behind the last one that is gone: %q", why)
	}
	if why := ask(position.Position{Marker: 7}); why != TooOld {
		t.Errorf("too old: %q", why)
	}
	wrong := mid
	wrong.Check ^= 1
	if why := ask(wrong); why != Mismatch {
		t.Errorf("another check: %q", why)
	}
	ahead := r.Head()
	ahead.Count++
	if why := ask(ahead); why != Mismatch {
		t.Errorf("ahead: %q", why)
	}
	if why := ask(position.Position{Marker: 8}); why != Unknown {
		t.Errorf("another marker: %q", why)
	}
	if why := ask(position.Position{}); why != Unknown {
		t.Errorf("none: %q", why)
	}
	for range 257 {
		r.Append(Key{User, "a"}, "x", true, 2400)
	}
	if why := ask(mid); why != TooMany {
		t.Errorf("258 missed: %q", why)
	}
	big := r.Head()
	r.Append(Key{User, "a"}, strings.Repeat("x", 1<<20), true, 2400)
	if why := ask(big); why != TooMany {
		t.Errorf("one that was too big to be kept: %q", why)
	}
	r.Reset(9, 3000)
	if why := ask(r.Head()); why != NotRefused {
		t.Errorf("behind a reset: %q", why)
	}
	if why := ask(ahead); why != Unknown {
		t.Errorf("of another stream: %q", why)
	}
}

// A user who gets much must not make the look for another one slow: the two may share a slot.
func TestLooksPassOverOthers(t *testing.T) {
	r := newRing(time.Hour)
	slotOf := func(name string) uint64 { return r.hash(Key{User, name}) % uint64(len(r.slots)/slotSize) }
	quiet := ""
	for i := 0; quiet == "" || slotOf(quiet) != slotOf("hot"); i++ {
		quiet = fmt.Sprint("quiet", i)
	}
	for range 10 {
		r.Append(Key{User, quiet}, "x", true, 1)
		for range 1000 {
			r.Append(Key{User, "hot"}, "x", true, 1)
		}
	}
	for name, want := range map[string]int{quiet: 10, "hot": 10_000, quiet + "'s neighbour": 0} {
		look, found := r.lookFor(Key{User, name}, 0), 0
		for _, _, ok := look.next(); ok; _, _, ok = look.next() {
			found++
		}
		if found != want || look.steps > found+20 {
			t.Errorf("%s: %d found in %d steps, want %d", name, found, look.steps, want)
		}
	}
}

func TestReach(t *testing.T) {
	r := newRing(10 * time.Second)
	if got := r.Reach(4000); got != 4*time.Second {
		t.Errorf("4 s after the start it is %s", got)
	}
	for now := int64(0); now < 30_000; now += 10 {
		r.Append(Key{User, "a"}, strings.Repeat("x", 100), true, now)
	}
	if got := r.Reach(30_000); got != 10*time.Second {
		t.Errorf("with room for all it is %s", got)
	}
	for range r.Room() / 1000 {
		r.Append(Key{User, "a"}, strings.Repeat("x", 2000), true, 30_000)
	}
	if got := r.Reach(31_000); got != time.Second {
		t.Errorf("when all of the room was filled a second ago it is %s", got)
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	r := newRing(time.Minute)
	payload := strings.Repeat("x", 300)
	if n := testing.AllocsPerRun(1000, func() { r.Append(Key{User, "alice"}, payload, true, 5) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Notifications that are forgotten between Since and Fill are missed by the client: it is told so.
func TestFillOfWhatIsForgotten(t *testing.T) {
	r := newRing(time.Hour)
	at := r.Head()
	r.Append(Key{User, "a"}, "first", true, 1)
	r.Append(Key{User, "a"}, "second", true, 1)
	missed, _, why := r.Since(at, []Key{{User, "a"}}, most)
	if filled, ok := r.Fill(missed, make([]byte, 7)); filled != 1 || !ok || missed[0].Payload != "first" || why != NotRefused {
		t.Fatalf("%d filled, %v, %q", filled, ok, why)
	}
	for range 2 * MinMemory / smallest { // all is overwritten
		r.Append(Key{User, "b"}, "x", true, 2)
	}
	if filled, ok := r.Fill(missed[1:], make([]byte, 7)); filled != 0 || ok {
		t.Errorf("%d filled, %v", filled, ok)
	}
}
