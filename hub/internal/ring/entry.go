package ring

import "encoding/binary"

// An entry is, in the order of its bytes, little-endian:
//
//	size    uint32  with name and payload, a multiple of 8; 0: the rest up to the end of the memory is not used
//	kind    uint8   0: it is nobody's, and has neither name nor payload
//	absent  uint8   1: it was too big to be kept, and has a name only; 2: others may have come before it that were not heard
//	name    uint16  its length
//	payload uint32  its length
//	        uint32
//	hash    uint64  of its key
//	same    uint64  the link to the one before in its run, see slot
//	next    uint64  the link to the last one of the run before
//	number  uint64
//	heard   int64   Unix milliseconds
const (
	atKind, atAbsent, atName, atPayload = 4, 5, 6, 8
	atHash, atSame, atNext              = 16, 24, 32
	atNumber, atHeard                   = 40, 48
)

// absence is why an entry has no payload.
type absence byte

const (
	present absence = iota
	tooBig
	unheard
)

// entry is the bytes of one, from its beginning to the end of the memory.
type entry []byte

func (e entry) size() uint64    { return uint64(binary.LittleEndian.Uint32(e)) }
func (e entry) hash() uint64    { return binary.LittleEndian.Uint64(e[atHash:]) }
func (e entry) same() uint64    { return binary.LittleEndian.Uint64(e[atSame:]) }
func (e entry) next() uint64    { return binary.LittleEndian.Uint64(e[atNext:]) }
func (e entry) number() uint64  { return binary.LittleEndian.Uint64(e[atNumber:]) }
func (e entry) heard() int64    { return int64(binary.LittleEndian.Uint64(e[atHeard:])) }
func (e entry) absent() absence { return absence(e[atAbsent]) }
func (e entry) kind() Kind      { return Kind(e[atKind]) }

func (e entry) name() []byte {
	return e[entrySize : entrySize+int(binary.LittleEndian.Uint16(e[atName:]))]
}

func (e entry) payload() []byte {
	start := entrySize + int(binary.LittleEndian.Uint16(e[atName:]))
	return e[start : start+int(binary.LittleEndian.Uint32(e[atPayload:]))]
}

func (e entry) is(hash uint64, key Key) bool {
	return e.hash() == hash && e.kind() == key.Kind && string(e.name()) == key.Name
}

// at returns the entry at an offset.
func (r *Ring) at(offset uint64) entry { return entry(r.entries[offset%uint64(len(r.entries)):]) }

// write writes an entry for the notification that was counted last.
func (r *Ring) write(key Key, payload string, keep bool, why absence, now int64) {
	if !keep {
		key, why = Key{}, present
	}
	if !keep || why != present {
		payload = ""
	}
	size := uint64(max(smallest, (entrySize+len(key.Name)+len(payload)+7)&^7))
	offset := r.makeRoom(size)
	e := r.at(offset)
	binary.LittleEndian.PutUint32(e, uint32(size))
	e[atKind], e[atAbsent] = byte(key.Kind), byte(why)
	binary.LittleEndian.PutUint16(e[atName:], uint16(len(key.Name)))
	binary.LittleEndian.PutUint32(e[atPayload:], uint32(len(payload)))
	binary.LittleEndian.PutUint64(e[atNumber:], r.count)
	binary.LittleEndian.PutUint64(e[atHeard:], uint64(now))
	copy(e[entrySize:], key.Name)
	copy(e[entrySize+len(key.Name):], payload)
	r.head = offset + size
	if keep {
		r.link(e, offset, r.hash(key))
	}
}

// makeRoom returns where the next entry of so many bytes begins, and forgets what is there.
func (r *Ring) makeRoom(size uint64) (offset uint64) {
	all := uint64(len(r.entries))
	offset = r.head
	if left := all - offset%all; left < size {
		r.forgetUpTo(offset + left)
		binary.LittleEndian.PutUint32(r.at(offset), 0)
		offset += left
	}
	r.forgetUpTo(offset + size)
	if r.tail == r.head { // it is empty
		r.tail = offset
	}
	return offset
}

// forgetUpTo forgets the oldest until what is written up to an offset overwrites none.
func (r *Ring) forgetUpTo(offset uint64) {
	for r.tail < r.head && offset-r.tail > uint64(len(r.entries)) {
		r.forget()
	}
}

// forget forgets the oldest entry.
func (r *Ring) forget() {
	e := r.at(r.tail)
	r.floor, r.forgotten = e.number(), e.heard()
	r.tail += e.size()
	r.skipUnused()
}

// skipUnused moves the tail to an entry, or to the head.
func (r *Ring) skipUnused() {
	if r.tail < r.head && r.at(r.tail).size() == 0 {
		all := uint64(len(r.entries))
		r.tail += all - r.tail%all
	}
}

// expire forgets what is older than the window.
func (r *Ring) expire(now int64) {
	oldest := now - r.window.Milliseconds()
	for r.tail < r.head && r.at(r.tail).heard() < oldest {
		r.forget()
	}
}
