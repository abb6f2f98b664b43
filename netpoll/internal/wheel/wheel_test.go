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

// The model is a map from timer to the tick at which it must fire. Sometimes the wheel stops before all have fired.
func TestWheelAgainstModel(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	w := Wheel[*timer]{now: 1<<32 - 1000} // what an entry keeps of a tick wraps around soon
	timers := make([]*timer, 300)
	for i := range timers {
		timers[i] = new(timer)
	}
	want := map[*timer]Tick{}
	now, stopped, stops := w.now, false, 0
	for range 20_000 {
		c := timers[rng.IntN(len(timers))]
		switch rng.IntN(10) {
		case 0:
			w.Disarm(c)
			delete(want, c)
		case 1, 2, 3, 4, 5, 6:
			at := now + Tick(rng.IntN(3*Slots)) - 5
			w.Arm(c, at)
			want[c] = max(at, w.Now()+1)
		default:
			from := now
			now += Tick(rng.IntN(40))
			if rng.IntN(50) == 0 {
				now += 2 * Slots
			}
			most, fired := 1+rng.IntN(20), 0
			w.AdvanceSome(now, most, func(c *timer) {
				fired++
				at, armed := want[c]
				if !armed || at > now || at <= from && !stopped {
					t.Fatalf("fired for tick %d (armed %v) while going from %d to %d", at, armed, from, now)
				}
				delete(want, c)
			})
			if stopped = fired == most; stopped {
				stops++
			}
			if fired > most {
				t.Fatalf("%d have fired, want %d at most", fired, most)
			}
			for _, at := range want {
				if at <= now && !stopped {
					t.Fatalf("a timer for tick %d is left at %d", at, now)
				}
			}
		}
		checkWheel(t, &w, want, now)
	}
	if stops == 0 {
		t.Error("the wheel has never stopped before all had fired")
	}
}

// checkWheel compares the wheel with the model. now is how far it was to go: what it stopped before is due at once.
func checkWheel(t *testing.T, w *Wheel[*timer], want map[*timer]Tick, now Tick) {
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
		if ok && (next > max(at, now) || next > at && w.now == now || next <= w.now && w.due == nil) {
			t.Fatalf("next = %d at %d, but a timer is due at %d", next, w.now, at)
		}
	}
}

// The next call fires the entries that the last one left, unless they were moved or removed meanwhile.
func TestWheelGoesOn(t *testing.T) {
	t.Parallel()
	var w Wheel[*timer]
	timers := make([]*timer, 10)
	for i := range timers {
		timers[i] = new(timer)
		w.Arm(timers[i], 5)
	}
	fired := map[*timer]int{}
	fire := func(c *timer) { fired[c]++ }
	w.AdvanceSome(6, 4, fire)
	if next, ok := w.Next(); len(fired) != 4 || !ok || next > 6 {
		t.Fatalf("%d have fired, and the next at %d (%v); want 4, and the next at once", len(fired), next, ok)
	}
	var left []*timer
	for _, c := range timers {
		if fired[c] == 0 {
			left = append(left, c)
		}
	}
	w.Disarm(left[0])
	w.Arm(left[1], 20)
	w.AdvanceSome(6, 100, fire)
	if next, ok := w.Next(); len(fired) != 8 || fired[left[0]]+fired[left[1]] != 0 || w.Now() != 6 || !ok || next != 20 {
		t.Errorf("at %d %d have fired, and the next at %d (%v); want 8 at 6, and the next at 20", w.Now(), len(fired), next, ok)
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
