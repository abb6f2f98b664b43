package metric

import (
	"slices"
	"sync/atomic"
	"testing"
)

type counters[T any] struct {
	In     T `metric:"test_in_total" help:"What came."`
	Hidden T
	Now    T `metric:"test_now" help:"What is there, as {\"now\":1}."`
}

func TestSumAndValues(t *testing.T) {
	var one, two counters[atomic.Int64]
	one.In.Add(3)
	one.Now.Add(-1)
	two.In.Add(4)
	two.Hidden.Add(5)
	var sum counters[int]
	Add(&sum, &one)
	Add(&sum, &two)
	if want := (counters[int]{In: 7, Hidden: 5, Now: -1}); sum != want {
		t.Errorf("the sum is %+v, want %+v", sum, want)
	}
	if got, want := Values(sum), []Value{{"test_in_total", 7}, {"test_now", -1}}; !slices.Equal(got, want) {
		t.Errorf("the values are %v, want %v", got, want)
	}
	descs := Descs(sum)
	if want := []Desc{{"test_in_total", "What came."}, {"test_now", `What is there, as {"now":1}.`}}; !slices.Equal(descs, want) {
		t.Errorf("described as %v, want %v", descs, want)
	}
	if !descs[0].Counter() || descs[1].Counter() {
		t.Error("a name that ends in _total is a counter's, and no other is")
	}
}
