package wheel

import (
	"fmt"
	"testing"
)

// pingTicks is the usual ping interval of 30 s in ticks of half a second.
const pingTicks = 60

func eachSize(b *testing.B, run func(b *testing.B, n int)) {
	for _, n := range []int{1_000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) { run(b, n) })
	}
}

// full has n timers, spread over a ping interval.
func full(n int) (*Wheel[*timer], []*timer) {
	w := new(Wheel[*timer])
	timers := make([]*timer, n)
	for i := range timers {
		timers[i] = new(timer)
		w.Arm(timers[i], Tick(1+i%pingTicks))
	}
	return w, timers
}

// BenchmarkWheelTick is what the ticks of one second cost, for each timer that fires and is
// armed again.
func BenchmarkWheelTick(b *testing.B) {
	eachSize(b, func(b *testing.B, n int) {
		w, _ := full(n)
		b.ReportAllocs()
		fired := 0
		for b.Loop() {
			w.Advance(w.now+1, func(t *timer) {
				fired++
				w.Arm(t, w.now+pingTicks)
			})
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(max(fired, 1)), "ns/timer")
	})
}

// BenchmarkWheelArm moves one timer of many.
func BenchmarkWheelArm(b *testing.B) {
	eachSize(b, func(b *testing.B, n int) {
		w, timers := full(n)
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			w.Arm(timers[i%n], Tick(1+i%pingTicks))
			i += 7919 // a prime: as good as any order
		}
	})
}
