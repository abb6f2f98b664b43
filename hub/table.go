package hub

import "iter"

// entry is what the registry holds for a user: the only connection, or their *userConns.
type entry interface {
	// HubLink returns a link that bears the user's name.
	HubLink() *Link
}

// table finds a user's entry. It is a hash table with open addressing and linear probing: an entry is in its home, the slot
// that its hash names, or in the first free slot behind that. Unlike Go's map it keeps no copy of the names, and gives memory
// back: 20 bytes a slot, and 1.2 to 1.43 slots a user while users come. The zero value is empty. It is not safe for concurrent use.
type table struct {
	hashes []uint32 // of the entries, see mark; 0: the slot is free. Apart from these, so that a search reads 64 bytes in one piece
	slots  []entry
	used   int
}

// minSlots is how many slots a table that is not empty has at least.
const minSlots = 8

// roomFor returns how many slots a table of n entries gets. It grows when five sixths of them are taken, and shrinks when a
// third is.
func roomFor(n int) int { return max(minSlots, n*10/7) }

// mark is the hash as it is kept, which is not 0. Nothing is lost: the lowest bits are the same in the whole shard.
func mark(hash uint32) uint32 { return hash | 1 }

func (t *table) home(mark uint32) int { return int(uint64(mark) * uint64(len(t.hashes)) >> 32) }

func (t *table) next(slot int) int {
	if slot++; slot < len(t.hashes) {
		return slot
	}
	return 0
}

// search returns the slot of user's entry, or the free slot where it belongs. The table has a free slot.
func (t *table) search(hash uint32, user string) (slot int, found bool) {
	m := mark(hash)
	for slot = t.home(m); t.hashes[slot] != 0; slot = t.next(slot) {
		if t.hashes[slot] == m && t.slots[slot].HubLink().user == user {
			return slot, true
		}
	}
	return slot, false
}

// find returns user's entry, nil if there is none.
func (t *table) find(hash uint32, user string) entry {
	if t.used == 0 {
		return nil
	}
	if slot, found := t.search(hash, user); found {
		return t.slots[slot]
	}
	return nil
}

// put sets the entry of the user whom its link names, and whose name has a hash.
func (t *table) put(hash uint32, e entry) {
	if (t.used+1)*6 > len(t.hashes)*5 {
		t.resize(roomFor(t.used + 1))
	}
	slot, found := t.search(hash, e.HubLink().user)
	if !found {
		t.used++
	}
	t.hashes[slot], t.slots[slot] = mark(hash), e
}

// remove takes out the entry of a user who has one. The entries behind it move up, so that no search meets a gap before
// the entry that it is for.
func (t *table) remove(hash uint32, user string) {
	gap, _ := t.search(hash, user)
	for slot := t.next(gap); t.hashes[slot] != 0; slot = t.next(slot) {
		if home := t.home(t.hashes[slot]); t.behind(home, slot) >= t.behind(gap, slot) {
			t.hashes[gap], t.slots[gap] = t.hashes[slot], t.slots[slot]
			gap = slot
		}
	}
	t.hashes[gap], t.slots[gap] = 0, nil
	if t.used--; t.used*3 < len(t.hashes) && len(t.hashes) > minSlots {
		t.resize(roomFor(t.used))
	}
}

// behind returns how many slots after from the slot to is.
func (t *table) behind(from, to int) int {
	if to < from {
		to += len(t.hashes)
	}
	return to - from
}

func (t *table) resize(slots int) {
	old := *t
	*t = table{hashes: make([]uint32, slots), slots: make([]entry, slots)}
	for i, e := range old.slots {
		if e != nil {
			t.put(old.hashes[i], e)
		}
	}
}

// all yields the entries, in no order. The table may not be changed meanwhile.
func (t *table) all() iter.Seq[entry] {
	return func(yield func(entry) bool) {
		for _, e := range t.slots {
			if e != nil && !yield(e) {
				return
			}
		}
	}
}
