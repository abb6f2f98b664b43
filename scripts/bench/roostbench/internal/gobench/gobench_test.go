package gobench

import (
	"reflect"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	got := Parse(`goos: linux
pkg: roost/hub
BenchmarkRegistry/n=1000-2         	  100000	        15.5 ns/op	      88.0 B/conn	       0 B/op	       0 allocs/op
BenchmarkOdd-name 	 1 	 3 ns/op
Benchmark is a word
BenchmarkHalf 10 3
--- BENCH: BenchmarkRegistry
PASS
ok  	roost/hub	3.1s
pkg: roost/netpoll
BenchmarkWheel/n=1000/tick-16 7 1e+06 ns/op
BenchmarkBroken 7 x ns/op
`)
	want := []Result{
		{"roost/hub", "Registry/n=1000", map[string]float64{"ns/op": 15.5, "B/conn": 88, "B/op": 0, "allocs/op": 0}},
		{"roost/hub", "Odd-name", map[string]float64{"ns/op": 3}},
		{"roost/netpoll", "Wheel/n=1000/tick", map[string]float64{"ns/op": 1e6}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
