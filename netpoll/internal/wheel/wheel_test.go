package wheel

import (
	"math/rand/v2"
	"testing"
)

// timer is an entry, as a connection is.
type timer struct {
	links Links[*timer]
	due   uint32
}

func (t *timer) WheelLinks() *Links[*timer] { return &t.links }
func (t *timer) WheelDue() *uint32          { return &t.due }

// The model is a map from timer to the tick at which it must fire.
func TestWheelAgainstModel(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	w := Wheel[*timer]{now: 1<<32 - 1000} // what an entry keeps of a tick wraps around soon
	timers := make([]*timer, 300)
	for i := range timers {
		timers[i] = new(timer)
	}
	want := map[*timer]Tick{}
	now := w.now
	for range 20_000 {
		c := timers[rng.IntN(len(timers))]
		switch rng.IntN(10) {
		case 0:
			w.Disarm(c)
			delete(want, c)
		case 1, 2, 3, 4, 5, 6:
			at := now + Tick(rng.IntN(3*Slots)) - 5
			w.Arm(c, at)
			want[c] = max(at, now+1)
		default:
			from := now
			now += Tick(rng.IntN(40))
			if rng.IntN(50) == 0 {
				now += 2 * Slots
			}
			w.Advance(now, func(c *timer) {
				at, armed := want[c]
				if !armed || at > now || at <= from {
					t.Fatalf("fired for tick %d (armed %v) while going from %d to %d", at, armed, from, now)
				}
				delete(want, c)
			})
			for _, at := range want {
				if at <= now {
					t.Fatalf("a timer for tick %d is left at %d", at, now)
				}
			}
		}
		checkWheel(t, &w, want)
	}
}

func checkWheel(t *testing.T, w *Wheel[*timer], want map[*timer]Tick) {
	t.Helper()
	each := map[*timer]bool{}
	w.Each(func(c *timer) { each[c] = true })
	for c := range want {
		if !each[c] {
			t.Fatalf("a timer for tick %d is not in the wheel", want[c])
		}
	}
	if w.Len() != len(want) || len(each) != len(want) {
		t.Fatalf("%d timers are armed and %d in the wheel, want %d", w.Len(), len(each), len(want))
	}
	next, ok := w.Next()
	if ok != (len(want) > 0) {
		t.Fatalf("next says %v with %d timers", ok, len(want))
	}
	for _, at := range want {
		if ok && (next > at || next <= w.now) {
			t.Fatalf("next = %d at %d, but a timer is due at %d", next, w.now, at)
		}
	}
}

// An empty wheel is moved forward, and never back; one that is not empty stays.
func TestWheelSkip(t *testing.T) {
	t.Parallel()
	var w Wheel[*timer]
	w.Skip(100)
	w.Skip(50)
	if w.Now() != 100 {
		t.Fatalf("at %d, want 100", w.Now())
	}
	c := new(timer)
	w.Arm(c, 110)
	w.Skip(200)
	if w.Now() != 100 || w.At(c) != 110 {
		t.Errorf("at %d with a timer for %d, want 100 and 110", w.Now(), w.At(c))
	}
}

func TestWheelFireMayRearmIntoItsOwnSlot(t *testing.T) {
	t.Parallel()
	var w Wheel[*timer]
	c := new(timer)
	w.Arm(c, 3)
	fired := 0
	fire := func(c *timer) {
		fired++
		w.Arm(c, w.At(c)+Slots) // the same slot, one round on
	}
	w.Advance(3, fire)
	if fired != 1 {
		t.Fatalf("fired %d times, want 1", fired)
	}
	w.Advance(3+Slots-1, fire)
	if fired != 1 {
		t.Fatalf("fired %d times before the second round, want 1", fired)
	}
	w.Advance(3+Slots, fire)
	if fired != 2 {
		t.Fatalf("fired %d times after the second round, want 2", fired)
	}
}

func TestWheelFireMayDisarmAnother(t *testing.T) {
	t.Parallel()
	var w Wheel[*timer]
	a, b := new(timer), new(timer)
	w.Arm(a, 7)
	w.Arm(b, 7)
	var fired []*timer
	w.Advance(7, func(c *timer) {
		fired = append(fired, c)
		w.Disarm(a)
		w.Disarm(b)
	})
	if len(fired) != 1 || w.armed != 0 {
		t.Fatalf("fired %d, %d left armed; want 1 and 0", len(fired), w.armed)
	}
}
