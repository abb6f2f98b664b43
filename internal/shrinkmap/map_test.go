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
		if all := maps.Collect(m.All()); !maps.Equal(all, model) || m.Len() != len(model) {
			t.Fatalf("%d entries, a length of %d, want %d", len(all), m.Len(), len(model))
		}
		for key := range 2_000 {
			want, there := model[key]
			if got, ok := m.Find(key); got != want || ok != there || m.Get(key) != want {
				t.Fatalf("key %d: %d, %v and %d, want %d, %v", key, got, ok, m.Get(key), want, there)
			}
		}
		if m.Room() > Kept && len(model) <= m.Room()/4 {
			t.Fatalf("room for %d, with %d in it", m.Room(), len(model))
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
