package hub

import (
	"fmt"
	"runtime"
	"testing"
	"unsafe"
)

// The costs of the registry, from a thousand connections to a million: the cost
// a connection has to stay flat.

var registrySizes = []int{1_000, 10_000, 100_000, 1_000_000}

func eachRegistrySize(b *testing.B, run func(b *testing.B, n, perUser int)) {
	for _, n := range registrySizes {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) { run(b, n, 1) })
	}
	for _, n := range registrySizes {
		b.Run(fmt.Sprintf("n=%d/peruser=8", n), func(b *testing.B) { run(b, n, 8) })
	}
}

// BenchmarkRegistryBytes reports as B/conn all that a connection costs in the
// registry: its link, and its part of what the hub allocates. The connection
// itself and the user's name are left out. after-B/conn is what is still there
// when everybody has left.
func BenchmarkRegistryBytes(b *testing.B) {
	eachRegistrySize(b, func(b *testing.B, n, perUser int) {
		var full, empty float64
		rounds := 0
		for b.Loop() {
			a := newAdmitted(n, perUser)
			before := heapInUse()
			a.enter(b)
			full += float64(heapInUse()) - float64(before)
			for i := range a.conns {
				a.hub.Remove(&a.conns[i])
			}
			empty += float64(heapInUse()) - float64(before)
			rounds++
			runtime.KeepAlive(a)
		}
		total := float64(rounds * n)
		b.ReportMetric(full/total+float64(unsafe.Sizeof(Link{})), "B/conn")
		b.ReportMetric(empty/total, "after-B/conn")
		b.ReportMetric(0, "ns/op")
	})
}

// heapInUse returns the bytes of all live objects.
func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // a pool keeps what it has for one collection
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkRegistryLookup asks for users who are here, far from each other.
func BenchmarkRegistryLookup(b *testing.B) {
	eachRegistrySize(b, func(b *testing.B, n, perUser int) {
		a := admit(b, n, perUser)
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i = (i + 7919) % n
			if a.hub.ConnectionsOf(a.names[i]) == 0 {
				b.Fatal("not found")
			}
		}
	})
}

// BenchmarkRegistryConnectDisconnect lets one connection go and come back while
// the others stay.
func BenchmarkRegistryConnectDisconnect(b *testing.B) {
	eachRegistrySize(b, func(b *testing.B, n, perUser int) {
		a := admit(b, n, perUser)
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i = (i + 7919) % n
			a.hub.Remove(&a.conns[i])
			if _, _, err := a.hub.Admit(&a.conns[i], a.names[i]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
