package hub

import "maps"

// leanMap is a Go map that gives memory back: Go's own keep the room of the most that was ever in them. The zero value
// is empty. It is not safe for concurrent use.
type leanMap[K comparable, V any] struct {
	all  map[K]V
	most int // entries at once, since all was made
}

// keptEntries bounds the room, in entries, that stays whatever is in it.
const keptEntries = 32

func (m *leanMap[K, V]) put(key K, value V) {
	if m.all == nil {
		m.all = make(map[K]V)
	}
	m.all[key] = value
	m.most = max(m.most, len(m.all))
}

// remove takes an entry out. When three quarters have gone the rest moves to a smaller map, so that each removal pays
// for a third of an entry that moves.
func (m *leanMap[K, V]) remove(key K) {
	delete(m.all, key)
	if m.most <= keptEntries || len(m.all) > m.most/4 {
		return
	}
	smaller := make(map[K]V, len(m.all))
	maps.Copy(smaller, m.all)
	m.all, m.most = smaller, len(smaller)
}
