package netem

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func newPipe(l Link) *pipe { return &pipe{link: l, random: rand.New(rand.NewPCG(1, 2))} }

// TestPipe sends packets of 1,000 bytes at once and wants the moments at which they arrive, in ms.
func TestPipe(t *testing.T) {
	t.Parallel()
	const dropped = -1
	tests := map[string]struct {
		link Link
		want []int
	}{
		"nothing set":               {Link{}, []int{0, 0, 0}},
		"delay only":                {Link{Delay: 50 * time.Millisecond}, []int{50, 50, 50}},
		"a rate":                    {Link{Rate: 100_000}, []int{10, 20, 30}},
		"a rate and delay":          {Link{Rate: 100_000, Delay: 5 * time.Millisecond}, []int{15, 25, 35}},
		"a queue for two":           {Link{Rate: 100_000, Queue: 2000}, []int{10, 20, dropped}},
		"everything is lost":        {Link{Loss: 1}, []int{dropped, dropped}},
		"a queue without any limit": {Link{Rate: 1_000_000, Queue: 1 << 30}, []int{1, 2, 3}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, now := newPipe(tt.link), time.Unix(1, 0)
			for i, want := range tt.want {
				at, ok := p.admit(now, 1000)
				got := dropped
				if ok {
					got = int(at.Sub(now).Milliseconds())
				}
				if got != want {
					t.Errorf("packet %d: %d, want %d", i, got, want)
				}
			}
		})
	}
}

// A queue that was full takes packets again when some have left it, and an idle link does not save up its rate.
func TestPipeOverTime(t *testing.T) {
	t.Parallel()
	p, now := newPipe(Link{Rate: 100_000, Queue: 1000}), time.Unix(1, 0)
	if _, ok := p.admit(now, 1000); !ok {
		t.Fatal("the first is dropped")
	}
	if _, ok := p.admit(now.Add(5*time.Millisecond), 1000); ok {
		t.Error("half a packet waits, and another is taken")
	}
	later := now.Add(time.Second)
	if at, ok := p.admit(later, 1000); !ok || at.Sub(later) != 10*time.Millisecond {
		t.Errorf("after a second: %s, %t, want 10ms", at.Sub(later), ok)
	}
}

func TestPipeLoses(t *testing.T) {
	t.Parallel()
	p, lost := newPipe(Link{Loss: 0.1}), 0
	const n = 10_000
	for range n {
		if _, ok := p.admit(time.Unix(1, 0), 1); !ok {
			lost++
		}
	}
	if share := float64(lost) / n; math.Abs(share-0.1) > 0.02 {
		t.Errorf("%v are lost, want 0.1", share)
	}
}
