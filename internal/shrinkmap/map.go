// Package shrinkmap is a map that gives memory back: Go's own keep the room of the most
// that was ever in them, and after a flood that is for ever.
package shrinkmap

import (
	"iter"
	"maps"
)

// Map is a map. The zero value is empty. It is not safe for concurrent use.
type Map[K comparable, V any] struct {
	all  map[K]V
	most int // entries at once, since all was made
}

// Kept bounds the room, in entries, that stays whatever is in the map.
const Kept = 64

// Get returns the value of a key, the zero value if it has none.
func (m *Map[K, V]) Get(key K) V { return m.all[key] }

// Find returns the value of a key, and whether it has one.
func (m *Map[K, V]) Find(key K) (V, bool) {
	value, ok := m.all[key]
	return value, ok
}

// Len returns how many entries there are.
func (m *Map[K, V]) Len() int { return len(m.all) }

// Room returns the most entries that the map has had since it last shrank.
func (m *Map[K, V]) Room() int { return m.most }

// All yields the entries, in no order. The map may not be changed meanwhile.
func (m *Map[K, V]) All() iter.Seq2[K, V] { return maps.All(m.all) }

// Put sets the value of a key.
func (m *Map[K, V]) Put(key K, value V) {
	if m.all == nil {
		m.all = make(map[K]V)
	}
	m.all[key] = value
	m.most = max(m.most, len(m.all))
}

// Delete takes an entry out. When three quarters have gone the rest moves to a smaller
// map, so that each deletion pays for a third of an entry that moves.
func (m *Map[K, V]) Delete(key K) {
	delete(m.all, key)
	if m.most <= Kept || len(m.all) > m.most/4 {
		return
	}
	smaller := make(map[K]V, len(m.all))
	maps.Copy(smaller, m.all)
	m.all, m.most = smaller, len(smaller)
}
