package hub

import "slices"

// entry is what a table holds for a user: the only connection, or their *userConns.
type entry interface {
	// HubLink returns a link that bears the user's name and its hash.
	HubLink() *Link
}

// table finds a user's entry. It is a hash table with open addressing which,
// unlike Go's map, keeps no copy of the keys, fits closely and shrinks: about
// 24 bytes a user. Its zero value is empty. It is not safe for concurrent use.
//
// An entry's home is the slot that its hash names. If that is taken the next slots
// are tried, and an entry that is nearer to its home gives its slot up and goes on
// instead (Robin Hood hashing). So no entry is far from home, even in a table
// that is nearly full; a search ends where an entry is nearer to its home
// than the one that is looked for would be; and no slot needs a tombstone, since
// removing moves the entries that follow one slot back.
type table struct {
	marks []uint16 // one a slot; see mark
	slots []entry
	used  int
}

const (
	minSlots = 8

	// A mark is 0 if its slot is free. Otherwise its upper byte is how far from
	// home the entry is, 1 at home, and its lower byte is a part of the entry's hash,
	// so that a search hardly ever reads an entry that is not the right one.
	atHome  = 1 << 8
	tagBits = atHome - 1

	// tooFar is a mark that no entry gets: the table grows before. Among a million
	// users the farthest is 35 slots from home.
	tooFar = 255 * atHome
)

// mark returns the mark of an entry at home. It takes bits of the hash that
// choose neither the shard nor, unless the table is huge, the slot.
func mark(hash uint32) uint16 { return atHome | uint16(hash/shardCount&tagBits) }

// home returns the slot where an entry belongs.
func (t *table) home(hash uint32) int {
	return int(uint64(hash) * uint64(len(t.slots)) >> 32)
}

func (t *table) next(slot int) int {
	if slot++; slot < len(t.slots) {
		return slot
	}
	return 0
}

// find returns the slot of user's entry.
func (t *table) find(hash uint32, user string) (slot int, found bool) {
	if t.used == 0 {
		return 0, false
	}
	slot = t.home(hash)
	for mark := mark(hash); t.marks[slot] >= mark&^tagBits; mark += atHome {
		if t.marks[slot] == mark && t.slots[slot].HubLink().user == user {
			return slot, true
		}
		slot = t.next(slot)
	}
	return 0, false
}

// insert adds the entry of a user who has none yet.
func (t *table) insert(e entry) {
	if (t.used+1)*8 > len(t.slots)*7 {
		t.resize(roomFor(t.used + 1))
	}
	for {
		left := t.place(e)
		if left == nil {
			t.used++
			return
		}
		e = left
		t.resize(2 * len(t.slots))
	}
}

// place finds a slot for e and for the entries that make room. The table must
// not be full. It returns nil, or an entry that would be too far from home.
func (t *table) place(e entry) (left entry) {
	hash := e.HubLink().hash
	slot, mark := t.home(hash), mark(hash)
	for t.marks[slot] != 0 {
		if t.marks[slot] < mark&^tagBits {
			t.marks[slot], mark = mark, t.marks[slot]
			t.slots[slot], e = e, t.slots[slot]
		}
		slot = t.next(slot)
		if mark += atHome; mark >= tooFar {
			return e
		}
	}
	t.marks[slot], t.slots[slot] = mark, e
	return nil
}

// remove empties a slot.
func (t *table) remove(slot int) {
	for {
		next := t.next(slot)
		if t.marks[next] < 2*atHome { // free, or where it belongs
			break
		}
		t.marks[slot], t.slots[slot] = t.marks[next]-atHome, t.slots[next]
		slot = next
	}
	t.marks[slot], t.slots[slot] = 0, nil
	t.used--
	if t.used < len(t.slots)/3 && len(t.slots) > roomFor(0) {
		t.resize(roomFor(t.used))
	}
}

// roomFor returns how many slots let a table of n entries grow by a quarter and
// lose half of them before it has to be resized again.
func roomFor(n int) int { return max(minSlots, n*10/7+1) }

func (t *table) resize(slots int) {
	old := t.slots
	t.slots = slices.Grow([]entry(nil), slots)
	t.slots = t.slots[:cap(t.slots)] // all that the allocator gives for the asking
	t.marks = make([]uint16, len(t.slots))
	t.used = 0
	for _, e := range old {
		if e != nil {
			t.insert(e)
		}
	}
}
