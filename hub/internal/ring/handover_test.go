package ring

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/internal/position"
	"roost/internal/wirecodec"
)

// goesOn makes a ring of a copy of another one's memory, and of its state.
func goesOn(t testing.TB, r *Ring, memory []byte) *Ring {
	t.Helper()
	from := wirecodec.NewReader(r.AppendState(nil))
	next := Restore(from, slices.Clone(memory), r.window)
	if err := from.Done(); err != nil {
		t.Fatal(err)
	}
	return next
}

// A ring that goes on in another process, in the same memory or in one of another size, says what it would have said,
// whatever came before and comes behind.
func TestRingGoesOn(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 3))
			memory := make([]byte, MinMemory)
			ours := New(memory, time.Minute)
			ours.Reset(1, 1000)
			next, larger := (*Ring)(nil), (*Ring)(nil)
			var given []position.Position
			now := int64(1000)
			for i := range 6000 {
				now += random.Int64N(15)
				if i%2000 == 1500 {
					if larger = New(make([]byte, 3*MinMemory), time.Minute); next == nil {
						larger.TakeFrom(goesOn(t, ours, memory))
						next = goesOn(t, ours, memory)
					} else { // what went on goes on again
						larger.TakeFrom(next)
					}
				}
				one := randomMissed(random, now)
				rings := []*Ring{ours, next, larger}
				if next == nil {
					rings = rings[:1]
				}
				for _, r := range rings {
					switch {
					case i%700 == 9:
						r.Mark(position.MarkerOf(fmt.Sprint("m", i)), now)
					case i%700 == 29 && seed%2 == 0:
						r.Confirm(position.MarkerOf(fmt.Sprint("m", i-20)))
					case seed%4 == 1 && i == 1000:
						r.Reset(77, now)
					default:
						r.Append(one.Key, one.Payload, i%17 > 0, now)
					}
					if r.Head() != ours.Head() {
						t.Fatalf("%d: at %s, want %s", i, r.Head(), ours.Head())
					}
				}
				given = append(given, ours.Head())
				since, keys := given[max(0, len(given)-1-random.IntN(1500))], randomKeys(random)
				want, after, why := ours.Since(since, keys, modelBounds)
				readOut(t, ours, want)
				for n, r := range rings[1:] {
					got, gotAfter, gotWhy := r.Since(since, keys, modelBounds)
					if n == 1 && why == TooOld || why == TooMany { // the larger one may remember more, and take larger ones
						continue
					}
					readOut(t, r, got)
					if gotWhy != why || gotAfter != after || !reflect.DeepEqual(got, want) {
						t.Fatalf("%d: %d missed, %d, %q, want %d, %d, %q", i, len(got), gotAfter, gotWhy, len(want), after, why)
					}
				}
			}
		})
	}
}

// readOut fills what was missed, and forgets where in which ring it was.
func readOut(t *testing.T, r *Ring, all []Missed) {
	t.Helper()
	size := 0
	for _, m := range all {
		size += m.Size
	}
	if n, ok := r.Fill(all, make([]byte, size)); n != len(all) || !ok {
		t.Fatalf("%d of %d are filled, %t", n, len(all), ok)
	}
	for i := range all {
		all[i].number, all[i].offset = 0, 0
	}
}

// Going on changes nothing in the memory: the other process may take it back.
func TestRestoreOnlyReads(t *testing.T) {
	memory := make([]byte, MinMemory)
	r := New(memory, time.Minute)
	r.Reset(1, 1000)
	for i := range 5000 {
		r.Append(Key{User, fmt.Sprint(i % 50)}, strings.Repeat("x", i%900), true, 1000)
	}
	before := slices.Clone(memory)
	from := wirecodec.NewReader(r.AppendState(nil))
	next := Restore(from, memory, time.Minute)
	if from.Done() != nil || next.Head() != r.Head() || !slices.Equal(before, memory) {
		t.Errorf("%v, at %s, the memory is as it was: %v", from.Err(), next.Head(), slices.Equal(before, memory))
	}
	small := New(make([]byte, MinMemory), time.Minute)
	small.TakeFrom(next)
	if !slices.Equal(before, memory) {
		t.Error("copying has changed the memory")
	}
}

// FuzzRestore gives Restore states and memories that no ring has: it refuses them, or they can be used.
func FuzzRestore(f *testing.F) {
	r := New(make([]byte, MinMemory), time.Minute)
	r.Reset(1, 1000)
	f.Add(r.AppendState(nil), []byte{}, uint32(0))
	for i := range 3000 {
		r.Append(Key{Group, fmt.Sprint(i % 50)}, strings.Repeat("x", i%900), true, 1000)
	}
	f.Add(r.AppendState(nil), []byte{1, 2}, uint32(r.tail))
	f.Fuzz(func(t *testing.T, state, patch []byte, at uint32) {
		memory := make([]byte, MinMemory)
		copy(memory, slices.Concat(r.slots, r.checks, r.entries))
		copy(memory[int(at)%len(memory):], patch)
		from := wirecodec.NewReader(state)
		next := Restore(from, memory, time.Minute)
		if from.Err() != nil {
			if next != nil {
				t.Error("an error, and a ring")
			}
			return
		}
		next.Append(Key{User, "a"}, "payload", true, 2000)
		if missed, _, why := next.Since(next.Head(), []Key{{User, "a"}}, modelBounds); why != NotRefused || len(missed) != 0 {
			t.Errorf("%d missed at the head, %q", len(missed), why)
		}
	})
}
