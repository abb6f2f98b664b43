package ring

import (
	"encoding/binary"
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

// A hot user must not make the look for another one slow: the two may share a slot.
func TestSlotsLeadToKeys(t *testing.T) {
	r := newRing(time.Hour)
	for i := range 3 * len(r.slots) / 8 {
		r.Append(Key{User, "hot"}, "x", true, 1)
		r.Append(Key{User, string(rune('A' + i%26))}, "x", true, 1)
	}
	for range 100 {
		r.Append(Key{User, "hot"}, "x", true, 1)
	}
	links := 0
	for i := range 26 {
		hash := r.hash(Key{User, string(rune('A' + i))})
		for e, ok := r.linked(binary.LittleEndian.Uint64(r.slot(hash))); ok; e, ok = r.linked(e.next()) {
			links++
		}
	}
	if links > 26*27 {
		t.Errorf("%d links for 26 users", links)
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

// What is forgotten between Since and Fill is missed by the client: it is told so.
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
