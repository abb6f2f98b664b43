package shrinkmap

import (
	"maps"
	"math/rand/v2"
	"testing"
)

// It is a map, of any size, and gives memory back.
func TestMapAgainstModel(t *testing.T) {
	t.Parallel()
	var m Map[int, int]
	model := make(map[int]int)
	for range 20 {
		for range rand.IntN(3_000) {
			key, value := rand.IntN(2_000), rand.Int()
			m.Put(key, value)
			model[key] = value
		}
		for range rand.IntN(6_000) {
			key := rand.IntN(2_000)
			m.Delete(key)
			delete(model, key)
		}
		if !maps.Equal(m.all, model) {
			t.Fatalf("%d entries, want %d", len(m.all), len(model))
		}
		if m.most > Kept && len(model) <= m.most/4 {
			t.Fatalf("room for %d, with %d in it", m.most, len(model))
		}
	}
}

// A map in which entries come and go costs no allocations.
func TestMapAllocations(t *testing.T) {
	var m Map[string, int]
	m.Put("stays", 1)
	if n := testing.AllocsPerRun(100, func() { m.Put("a", 1); m.Delete("a") }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
