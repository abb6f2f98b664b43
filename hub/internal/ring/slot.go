package ring

import "encoding/binary"

// The hash table finds a key's notifications without reading older ones when one is added: those lie anywhere in memory, and to
// wait for them took longer than all the rest.
//
// A slot leads to its newest entry, and from each entry links lead to older ones of the slot, whatever their keys are. Successive
// entries whose keys have the same tag are a run: a look for a key steps from one to the next in runs with the key's tag, and over
// the others at once. So a user who gets much costs those little who share the slot: one step for each change between the two.
//
// A link is 1 + the offset of an entry, 0 for none. A link to what has been overwritten is an end, so that nothing has to be
// unlinked.
//
// A slot is, in the order of its bytes, little-endian:
//
//	head uint64  the link to its newest entry, and above it the tag of that entry's run
//	next uint64  the link to the last entry of the run before
const (
	slotSize = 16
	linkBits = 48
)

// tag is a part of a key's hash that has no part in the choice of the slot.
type tag uint16

func tagOf(hash uint64) tag { return tag(hash >> linkBits) }

func (r *Ring) slot(hash uint64) []byte {
	return r.slots[hash%uint64(len(r.slots)/slotSize)*slotSize:][:slotSize]
}

// hash is that of a key. The table may go on in another process: see hashKey.
func (r *Ring) hash(key Key) uint64 {
	return r.key.siphash(key.Name) ^ uint64(key.Kind)*0x9e3779b97f4a7c15
}

// link makes an entry the newest one of its slot.
func (r *Ring) link(e entry, offset, hash uint64) {
	slot := r.slot(hash)
	head, next := binary.LittleEndian.Uint64(slot), binary.LittleEndian.Uint64(slot[8:])
	same := head & (1<<linkBits - 1)
	if tag(head>>linkBits) != tagOf(hash) { // another run begins
		same, next = 0, same
	}
	binary.LittleEndian.PutUint64(e[atHash:], hash)
	binary.LittleEndian.PutUint64(e[atSame:], same)
	binary.LittleEndian.PutUint64(e[atNext:], next)
	binary.LittleEndian.PutUint64(slot, offset+1|uint64(tagOf(hash))<<linkBits)
	binary.LittleEndian.PutUint64(slot[8:], next)
}

// look goes through the entries of a key, the newest first.
type look struct {
	ring  *Ring
	key   Key
	hash  uint64
	after uint64 // entries up to this number end it
	link  uint64
	steps int
}

// lookFor begins to go through the entries of a key that have higher numbers than after.
func (r *Ring) lookFor(key Key, after uint64) look {
	hash := r.hash(key)
	return look{ring: r, key: key, hash: hash, after: after, link: binary.LittleEndian.Uint64(r.slot(hash)) & (1<<linkBits - 1)}
}

// next returns the next older one, and its offset; false if there is none.
func (l *look) next() (e entry, offset uint64, ok bool) {
	for l.link != 0 && l.link-1 >= l.ring.tail {
		offset = l.link - 1
		if e = l.ring.at(offset); e.number() <= l.after {
			break
		}
		l.steps++
		l.link = e.next()
		if tagOf(e.hash()) != tagOf(l.hash) {
			continue
		}
		if same := e.same(); same != 0 {
			l.link = same
		}
		if e.is(l.hash, l.key) {
			return e, offset, true
		}
	}
	return nil, 0, false
}
