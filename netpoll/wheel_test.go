package netpoll

import (
	"math/rand/v2"
	"testing"
)

// The model is a map from timer to the tick at which it must fire.
func TestWheelAgainstModel(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	w := wheel{now: 1<<32 - 1000} // what a conn keeps of a tick wraps around soon
	conns := make([]*conn, 300)
	for i := range conns {
		conns[i] = new(conn)
	}
	want := map[*conn]tick{}
	now := w.now
	for range 20_000 {
		c := conns[rng.IntN(len(conns))]
		switch rng.IntN(10) {
		case 0:
			w.disarm(c)
			delete(want, c)
		case 1, 2, 3, 4, 5, 6:
			at := now + tick(rng.IntN(3*wheelSlots)) - 5
			w.arm(c, at)
			want[c] = max(at, now+1)
		default:
			from := now
			now += tick(rng.IntN(40))
			if rng.IntN(50) == 0 {
				now += 2 * wheelSlots
			}
			w.advance(now, func(c *conn) {
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

func checkWheel(t *testing.T, w *wheel, want map[*conn]tick) {
	t.Helper()
	if w.armed != len(want) {
		t.Fatalf("armed = %d, want %d", w.armed, len(want))
	}
	next, ok := w.next()
	if ok != (len(want) > 0) {
		t.Fatalf("next says %v with %d timers", ok, len(want))
	}
	for _, at := range want {
		if ok && (next > at || next <= w.now) {
			t.Fatalf("next = %d at %d, but a timer is due at %d", next, w.now, at)
		}
	}
}

func TestWheelFireMayRearmIntoItsOwnSlot(t *testing.T) {
	t.Parallel()
	var w wheel
	c := new(conn)
	w.arm(c, 3)
	fired := 0
	fire := func(c *conn) {
		fired++
		w.arm(c, w.at(c)+wheelSlots) // the same slot, one round on
	}
	w.advance(3, fire)
	if fired != 1 {
		t.Fatalf("fired %d times, want 1", fired)
	}
	w.advance(3+wheelSlots-1, fire)
	if fired != 1 {
		t.Fatalf("fired %d times before the second round, want 1", fired)
	}
	w.advance(3+wheelSlots, fire)
	if fired != 2 {
		t.Fatalf("fired %d times after the second round, want 2", fired)
	}
}

func TestWheelFireMayDisarmAnother(t *testing.T) {
	t.Parallel()
	var w wheel
	a, b := new(conn), new(conn)
	w.arm(a, 7)
	w.arm(b, 7)
	var fired []*conn
	w.advance(7, func(c *conn) {
		fired = append(fired, c)
		w.disarm(a)
		w.disarm(b)
	})
	if len(fired) != 1 || w.armed != 0 {
		t.Fatalf("fired %d, %d left armed; want 1 and 0", len(fired), w.armed)
	}
}
