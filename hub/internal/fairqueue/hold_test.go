package fairqueue

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// A held queue ends what has begun, and begins nothing; let go it goes on with all of it, in order.
func TestHold(t *testing.T) {
	t.Parallel()
	r := newRig(8, 1<<20, 1<<20)
	r.fill("a", 3, 1)
	r.fill(Everyone, 2, 1)
	if one, _ := r.Next(r.now); one.flow != Everyone {
		t.Fatalf("%s is first", one)
	}
	r.Done(false, 1, r.now)
	r.Hold()
	r.fill("b", 1, 1)
	if !r.Busy() || r.Begun() != 1 {
		t.Errorf("%d have begun", r.Begun())
	}
	if got := r.next(); got != "everyone 3" {
		t.Errorf("%q ends", got)
	}
	r.fill("a", 1, 1)
	if got := r.next(); got != "" || r.Busy() || r.Begun() != 0 || r.Len() != 6 {
		t.Errorf("%q has a turn in a held queue, %d wait", got, r.Len())
	}
	r.Unhold()
	got := r.turns()
	for _, name := range []string{"a", "b", "everyone"} {
		last := -1
		for one := range strings.SplitSeq(got, ", ") {
			if flow, number, _ := strings.Cut(one, " "); flow == name {
				n := int(number[0] - '0')
				if n <= last {
					t.Errorf("%s: %s", name, got)
				}
				last = n
			}
		}
	}
	if strings.Count(got, ",") != 5 || r.Flows() != 0 {
		t.Errorf("turns %s, %d flows are left", got, r.Flows())
	}
}

// Another queue goes on with the items of one, and with the losses that it has to tell.
func TestAQueueGoesOnInAnother(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		old, next := newRig(3, 4000, 9000), newRig(3, 4000, 9000)
		for range 60 {
			flow := []string{Everyone, "a", "b", "c"}[random.IntN(4)]
			if random.IntN(3) == 0 {
				old.next()
			} else {
				old.add(flow, random.IntN(2000))
			}
			old.now = old.now.Add(time.Duration(random.IntN(20)) * time.Second)
		}
		old.Hold()
		next.now = old.now
		old.Each(func(w Waiting[item]) {
			for _, one := range w.Items {
				next.Put(w.Flow, one, 10, at(one.number), next.now)
			}
			next.Lose(w.Flow, w.Lost, w.Told, next.now)
		})
		old.Unhold()
		if len(next.dropped) > 0 {
			t.Fatalf("%v dropped", next.dropped)
		}
		if want, got := byFlow(old.turns()), byFlow(next.turns()); want != got {
			t.Errorf("turns\n%s, want\n%s", got, want)
		}
	}
}

// byFlow sorts turns by flow, each flow's in order.
func byFlow(turns string) string {
	flows := map[string][]string{}
	for one := range strings.SplitSeq(turns, ", ") {
		name, _, _ := strings.Cut(one, " ")
		flows[name] = append(flows[name], one)
	}
	var all []string
	for _, name := range []string{"everyone", "a", "b", "c"} {
		all = append(all, flows[name]...)
	}
	return strings.Join(all, ", ")
}
