package ring

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"roost/internal/position"
)

// model is what a ring does, with all that was ever heard.
type model struct {
	heard   []Missed // of the stream, oldest first
	given   []given  // positions that clients may have
	markers int
}

// given is a position, and how much had been heard of the stream by then.
type given struct {
	at     position.Position
	heard  int
	stream int
}

// TestRingModel compares rings with a model that forgets nothing, in random histories of two instances: the second begins
// later, and sometimes hears something else.
func TestRingModel(t *testing.T) {
	for seed := range uint64(25) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			runModel(t, rand.New(rand.NewPCG(seed, 7)))
		})
	}
}

var modelBounds = Bounds{Items: 40, Bytes: 20 << 10}

func runModel(t *testing.T, random *rand.Rand) {
	a, b := New(make([]byte, MinMemory), time.Minute), New(make([]byte, MinMemory), time.Hour)
	now := int64(1_000_000)
	a.Reset(1, now)
	b.Reset(2, now)
	var m model
	stream, joined := 0, 0           // joined: what b has heard from, in the stream
	parted := true                   // b has heard something else since the marker in which positions count
	latest, same := uint64(0), false // the latest marker; b has heard the same since
	m.given = append(m.given, given{at: a.Head()})
	for range 3000 {
		now += random.Int64N(40)
		switch n := random.IntN(1000); {
		case n < 4: // a marker, which both hear
			m.markers++
			id := position.MarkerOf(fmt.Sprint("marker", random.Uint64()))
			if a.Mark(id, now); a.Head().Marker == id { // it counted from one of its own
				parted = false
			}
			b.Mark(id, now)
			latest, same = id, true
		case n < 10: // the latest marker is confirmed
			a.Confirm(latest)
			if b.Confirm(latest); same {
				parted = false
			}
		case n < 11: // a's link is lost: another stream
			stream++
			m.heard = nil
			a.Reset(random.Uint64()>>5|1, now)
			b.Reset(random.Uint64()>>5|1, now)
			joined, parted, same = 0, true, false
		case n < 12 && len(m.heard) > 0: // b restarts
			b.Reset(random.Uint64()>>5|1, now)
			joined, parted, same = len(m.heard), true, false
		case n < 14: // b hears what a does not
			b.Append(Key{User, "other"}, "other", true, now)
			parted, same = true, false
		default:
			one := randomMissed(random, now)
			keep := random.IntN(20) > 0
			head := a.Head()
			one.Position = a.Append(one.Key, one.Payload, keep, now)
			if before, ok := a.Before(one.Position); !ok || before != head {
				t.Fatalf("before %s it was at %s, not %s", one.Position, head, before)
			}
			if before, ok := a.Before(head); ok && (before.Marker != head.Marker || before.Count+1 != head.Count) {
				t.Fatalf("before %s it was at %s", head, before)
			}
			if at := b.Append(one.Key, one.Payload, keep, now); !parted && at != one.Position {
				t.Fatalf("a is at %s, b at %s", one.Position, at)
			}
			if !keep {
				one.Key = Key{}
			}
			m.heard = append(m.heard, one)
		}
		if random.IntN(3) == 0 {
			m.given = append(m.given, given{at: a.Head(), heard: len(m.heard), stream: stream})
		}
		if random.IntN(4) == 0 {
			since := m.given[max(0, len(m.given)-1-random.IntN(min(len(m.given), 1+random.IntN(2000))))]
			keys := randomKeys(random)
			m.check(t, a, since, stream, 0, keys, false)
			m.check(t, b, since, stream, joined, keys, true)
		}
	}
}

// check asks a ring for what was missed, and compares.
func (m *model) check(t *testing.T, r *Ring, since given, stream, joined int, keys []Key, mayMismatch bool) {
	t.Helper()
	got, after, why := r.Since(since.at, keys, modelBounds)
	size := 0
	for _, m := range got {
		size += m.Size
	}
	for rest := got; len(rest) > 0; { // in two pieces
		filled, ok := r.Fill(rest, make([]byte, max(size/2, rest[0].Size)))
		if !ok || filled == 0 {
			t.Fatalf("of %d missed %d are filled, %v", len(rest), filled, ok)
		}
		rest = rest[filled:]
	}
	if why != NotRefused && got != nil {
		t.Fatalf("refused with %s, and %d replayed", why, len(got))
	}
	if since.stream != stream {
		if why != Unknown {
			t.Fatalf("a position of another stream: %q", why)
		}
		return
	}
	var want []Missed
	bytes, absent := 0, false
	for _, one := range m.heard[since.heard:] {
		for _, key := range keys {
			if one.Key == key {
				want = append(want, one)
				bytes += len(one.Payload)
				absent = absent || len(one.Payload) > len(r.entries)/biggestShare-entrySize-maxName
			}
		}
	}
	gone := len(m.heard)-since.heard > r.Kept() || since.heard < joined
	tooMany := absent || len(want) > modelBounds.Items || bytes > modelBounds.Bytes
	switch why {
	case NotRefused:
		if gone || tooMany {
			t.Fatalf("not refused: gone %v, too many %v", gone, tooMany)
		}
		if len(got) != len(want) {
			t.Fatalf("replayed %d, want %d", len(got), len(want))
		}
		for i := range got {
			got[i].number, got[i].offset, got[i].Size = 0, 0, 0
			if mayMismatch { // b's own, where it has heard something else
				got[i].Position, want[i].Position = position.Position{}, position.Position{}
			}
		}
		if len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("replayed %+v, want %+v", got, want)
		}
	case TooMany:
		if !tooMany {
			t.Fatalf("%d with %d bytes are too many", len(want), bytes)
		}
	case TooOld:
		if !gone || after == 0 {
			t.Fatal("too old, and everything since is kept")
		}
	case Unknown, Mismatch:
		if !mayMismatch && !gone {
			t.Fatalf("refused with %s", why)
		}
	}
}

func randomMissed(random *rand.Rand, now int64) Missed {
	keys := randomKeys(random)
	size := random.IntN(300)
	if random.IntN(300) == 0 {
		size = random.IntN(200 << 10)
	}
	return Missed{Key: keys[random.IntN(len(keys))], Payload: strings.Repeat(string(rune('a'+random.IntN(26))), size), Heard: now}
}

// randomKeys are a user's, of few who get much and many who get little.
func randomKeys(random *rand.Rand) []Key {
	user := random.IntN(5)
	if random.IntN(2) == 0 {
		user = random.IntN(3000)
	}
	return []Key{{User, fmt.Sprint("user", user)}, {Group, fmt.Sprint("user", random.IntN(9))}, {Kind: Everyone}}
}
