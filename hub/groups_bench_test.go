package hub

import (
	"fmt"
	"runtime"
	"testing"
)

// groupSizes are connections in all and in each group; each is in one.
var groupSizes = [][2]int{{100_000, 100_000}, {100_000, 100}, {100_000, 10}}

// eachGroupSize runs a benchmark with the names of the connections' groups.
func eachGroupSize(b *testing.B, run func(b *testing.B, a *admitted, groups []string)) {
	for _, size := range groupSizes {
		b.Run(fmt.Sprintf("n=%d/pergroup=%d", size[0], size[1]), func(b *testing.B) {
			groups := make([]string, size[0])
			for i := range groups {
				groups[i] = fmt.Sprint("group-", i*7919%size[0]/size[1])
			}
			a := newAdmitted(size[0], 1)
			a.hub = New(Config{Logger: quiet()})
			run(b, a, groups)
		})
	}
}

// BenchmarkGroupsBytes reports as B/conn what a connection in one group costs beside what it costs without, and as
// after-B/conn what is still there when all have left.
func BenchmarkGroupsBytes(b *testing.B) {
	eachGroupSize(b, func(b *testing.B, a *admitted, groups []string) {
		var with, without, after float64
		rounds := 0
		for b.Loop() {
			empty := heapInUse()
			for _, named := range []bool{false, true} {
				for i := range a.conns {
					var in []string
					if named {
						in = groups[i : i+1]
					}
					if _, _, err := a.hub.Admit(&a.conns[i], a.names[i], in...); err != nil {
						b.Fatal(err)
					}
				}
				full := float64(heapInUse()) - float64(empty)
				for i := range a.conns {
					a.hub.Remove(&a.conns[i])
				}
				if named {
					with += full
				} else {
					without += full
				}
			}
			after += float64(heapInUse()) - float64(empty)
			rounds++
		}
		total := float64(rounds * len(a.conns))
		b.ReportMetric((with-without)/total, "B/conn")
		b.ReportMetric(after/total, "after-B/conn")
		b.ReportMetric(0, "ns/op")
		runtime.KeepAlive(a)
	})
}

// BenchmarkGroupsConnectDisconnect lets one connection go and come back while the others stay.
func BenchmarkGroupsConnectDisconnect(b *testing.B) {
	eachGroupSize(b, func(b *testing.B, a *admitted, groups []string) {
		for i := range a.conns {
			if _, _, err := a.hub.Admit(&a.conns[i], a.names[i], groups[i]); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i = (i + 7919) % len(a.conns)
			a.hub.Remove(&a.conns[i])
			if _, _, err := a.hub.Admit(&a.conns[i], a.names[i], groups[i]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkGroupOffline is a notification for a group that nobody is in.
func BenchmarkGroupOffline(b *testing.B) {
	h := New(Config{Logger: quiet()})
	for i := range 1000 {
		if _, _, err := h.Admit(new(countingConn), fmt.Sprint("user-", i), fmt.Sprint("group-", i)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		h.DeliverGroup("somewhere else", `{"type":"x"}`)
	}
}
