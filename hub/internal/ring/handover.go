package ring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"roost/internal/wirecodec"
)

// A ring can go on in another process that has the same memory. Nothing is copied then: the state is what is not in the memory.

// layout is the version of what is in the memory.
const layout = 2

var errRing = errors.New("a ring that can't be")

// AppendState appends what another process needs to go on with the ring, beside its memory.
func (r *Ring) AppendState(dst []byte) []byte {
	dst = wirecodec.AppendUint(dst, layout)
	for _, n := range []uint64{r.key[0], r.key[1], r.head, r.tail, r.count, r.floor, uint64(r.chain), uint64(r.current)} {
		dst = wirecodec.AppendUint(dst, n)
	}
	dst = wirecodec.AppendInt(dst, r.forgotten)
	dst = wirecodec.AppendUint(dst, uint64(len(r.segments)))
	for _, s := range r.segments {
		dst = wirecodec.AppendUint(dst, s.marker)
		dst = wirecodec.AppendUint(dst, s.first)
		dst = wirecodec.AppendUint(dst, s.from)
		dst = wirecodec.AppendInt(dst, s.began)
		dst = wirecodec.AppendUint(dst, uint64(s.chain))
		dst = wirecodec.AppendBool(dst, s.alone)
	}
	return dst
}

// Restore makes a ring of what AppendState wrote, and of the memory of that ring, which it reads and does not change. What is
// wrong is from's error; then there is no ring.
func Restore(from *wirecodec.Reader, memory []byte, window time.Duration) *Ring {
	const most = 1<<64 - 1
	if version := from.Uint(most); from.Err() == nil && version != layout {
		from.Fail(fmt.Errorf("%w: its layout is %d, this release has %d", errRing, version, layout))
	}
	if len(memory) < MinMemory {
		from.Fail(fmt.Errorf("%w: %d bytes of memory", errRing, len(memory)))
		return nil
	}
	r := New(memory, window)
	for _, n := range []*uint64{&r.key[0], &r.key[1], &r.head, &r.tail, &r.count, &r.floor} {
		*n = from.Uint(most)
	}
	r.chain = sum(from.Uint(sumPrime - 1))
	current := from.Uint(maxSegments - 1)
	r.forgotten = from.Int(0, 1<<62)
	for range from.Count(6) {
		s := segment{
			marker: from.Uint(most), first: from.Uint(most), from: from.Uint(most), began: from.Int(0, 1<<62),
			chain: sum(from.Uint(sumPrime - 1)), alone: from.Bool(),
		}
		if s.marker == 0 || s.first > r.count || len(r.segments) > 0 && s.first < r.segments[len(r.segments)-1].first {
			from.Fail(errRing)
		}
		r.segments = append(r.segments, s)
	}
	if from.Err() == nil && (current >= uint64(len(r.segments)) || len(r.segments) > maxSegments || r.floor > r.count || !r.whole()) {
		from.Fail(errRing)
	}
	if from.Err() != nil {
		return nil
	}
	r.countFrom(int(current))
	return r
}

// SkipState reads what AppendState wrote where there is no memory to go on with.
func SkipState(from *wirecodec.Reader) {
	const most = 1<<64 - 1
	for range 9 {
		from.Uint(most)
	}
	from.Int(0, 1<<62)
	for range from.Count(6) {
		from.Uint(most)
		from.Uint(most)
		from.Uint(most)
		from.Int(0, 1<<62)
		from.Uint(most)
		from.Bool()
	}
}

// whole reports whether the entries are one behind the other, and have the numbers from the floor to the count.
func (r *Ring) whole() bool {
	all := uint64(len(r.entries))
	if r.tail > r.head || r.head-r.tail > all {
		return false
	}
	number := r.floor
	for offset := r.tail; offset < r.head; {
		left := all - offset%all
		if left < 4 {
			return false
		}
		e := r.at(offset)
		size := e.size()
		if size == 0 {
			if offset += left; offset > r.head {
				return false
			}
			continue
		}
		if size < smallest || size%8 != 0 || size > left || size > r.head-offset {
			return false
		}
		name, payload := uint64(binary.LittleEndian.Uint16(e[atName:])), uint64(binary.LittleEndian.Uint32(e[atPayload:]))
		if number++; entrySize+name+payload > size || e.number() != number || e.same() > offset || e.next() > offset {
			return false
		}
		offset += size
	}
	return number == r.count
}

// TakeFrom has a new ring go on with what another one remembers, whose memory has another size. The oldest is forgotten where
// there is less.
func (r *Ring) TakeFrom(old *Ring) {
	r.count, r.floor, r.forgotten = old.floor, old.floor, old.forgotten
	r.segments = append(r.segments[:0], old.segments...)
	r.setCheck(old)
	for offset := old.tail; offset < old.head; {
		e := old.at(offset)
		if e.size() == 0 {
			offset += uint64(len(old.entries)) - offset%uint64(len(old.entries))
			continue
		}
		r.count++
		r.setCheck(old)
		r.copy(e)
		offset += e.size()
	}
	r.chain = old.chain
	r.countFrom(old.current)
}

// setCheck copies the checksum behind the notification that was counted last.
func (r *Ring) setCheck(old *Ring) {
	sum := old.checks[r.count%uint64(len(old.checks)/4)*4:][:4]
	copy(r.checks[r.count%uint64(len(r.checks)/4)*4:], sum)
}

// copy writes an entry of another ring. One that is too big here keeps its name.
func (r *Ring) copy(from entry) {
	size := from.size()
	tooBig := size > uint64(len(r.entries)/biggestShare)
	if tooBig {
		size = uint64(max(smallest, (entrySize+len(from.name())+7)&^7))
	}
	offset := r.makeRoom(size)
	e := r.at(offset)
	copy(e[:size], from)
	if binary.LittleEndian.PutUint32(e, uint32(size)); tooBig {
		e[atAbsent] = 1
		binary.LittleEndian.PutUint32(e[atPayload:], 0)
	}
	r.head = offset + size
	if e.kind() != 0 {
		r.link(e, offset, r.hash(Key{Kind: e.kind(), Name: string(e.name())}))
	}
}
