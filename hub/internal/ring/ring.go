// Package ring remembers what was heard of late, so that a client which comes back gets what it missed. It is a data
// structure and nothing else: no goroutine, no lock, no clock. The caller holds a lock around every call and says what time
// it is.
//
// Everything is in one piece of memory without pointers, which the collector has nothing to follow in:
//
//   - the notifications themselves, one behind the other, the oldest overwritten by the newest;
//   - for each place in the stream the checksum there, to verify positions with (see sum.go);
//   - a hash table of users, groups and everyone, whose slots lead to their notifications, the newest first (see slot.go).
package ring

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"roost/internal/position"
)

// Kind says whom a notification is for.
type Kind uint8

// The kinds of receivers.
const (
	User Kind = iota + 1
	Group
	Everyone
)

// Key is whom a notification is for: a user or a group with its name, or everyone.
type Key struct {
	Kind Kind
	Name string
}

// Bounds of the memory.
const (
	MinMemory = 1 << 20

	entrySize    = 56                                       // of an entry without its name and its payload
	smallest     = 64                                       // entry, in bytes
	perSlot      = 512                                      // bytes of entries for each slot of the hash table
	perSmallest  = smallest + 4 + slotSize*smallest/perSlot // what a smallest entry takes with its checksum and its part of the table
	maxName      = 1 << 10                                  // longer names belong to nobody: see names.MaxUser
	biggestShare = 8                                        // a notification that takes more than this part of the entries is not kept
	maxSegments  = 1024                                     // positions behind older markers are unknown
)

// Ring is what was heard of late. Make it with New.
type Ring struct {
	window time.Duration // static
	key    hashKey       // static

	entries []byte // a multiple of 8 bytes
	checks  []byte // 4 bytes for each place, by its number modulo their count
	slots   []byte // slotSize bytes each, a power of two of them

	head, tail uint64    // offsets: entries are in [tail, head), at their offset modulo len(entries)
	count      uint64    // the number of the last one heard: of the first it is 1
	floor      uint64    // all numbers above have their entry
	chain      sum       // over all that was ever heard
	sum        sum       // over what was heard since segments[current]
	segments   []segment // oldest first, one at least
	current    int       // the segment in which Head counts
	ahead      ahead     // see Ahead
	forgotten  int64     // when the newest one was heard that is gone, or when the stream began; Unix milliseconds
}

// segment is the stream from a marker on. It does not end at the next marker: positions may count from any that is known.
type segment struct {
	marker uint64
	first  uint64 // Ring.count at the marker
	from   uint64 // Ring.count from when on Head counts from this marker; notYet
	began  int64  // Unix milliseconds
	chain  sum    // Ring.chain at the marker
	alone  bool   // nobody else knows the marker
}

const notYet = 1<<64 - 1

// New returns a ring in memory, MinMemory bytes at least, which forgets what is older than window. It has heard nothing;
// Reset has to be called first.
func New(memory []byte, window time.Duration) *Ring {
	room := len(memory) / perSmallest * smallest
	slots := 1
	for slots*2 <= room/perSlot {
		slots *= 2
	}
	checks := 4 * (room/smallest + 2)
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	r := &Ring{window: window, key: newHashKey(random[:])}
	r.slots, memory = memory[:slotSize*slots], memory[slotSize*slots:]
	r.checks, memory = memory[:checks], memory[checks:]
	r.entries = memory[:len(memory)&^7]
	// An entry has smallest bytes, so that there are never more of them than places for checksums.
	r.entries = r.entries[:min(len(r.entries), (checks/4-2)*smallest)]
	return r
}

// Reset forgets everything: what is heard from now on is another stream, which begins at a marker that only this instance knows.
func (r *Ring) Reset(marker uint64, now int64) {
	r.tail, r.floor, r.forgotten = r.head, r.count, now
	r.segments = append(r.segments[:0], segment{marker: marker, first: r.count, from: r.count, began: now, chain: r.chain, alone: true})
	r.current, r.sum, r.ahead = 0, 0, ahead{}
}

// Mark notes that a marker was heard, which other instances hear as well. A position that counts from it is known from now on, but
// Head counts on from the marker before until the new one is confirmed: another instance may be asked before it has heard it. Where
// nobody else knows the marker before, Head counts from the new one at once.
//
// One that is known already is none: a position at it would be in two places.
func (r *Ring) Mark(marker uint64, now int64) {
	if r.find(marker) >= 0 {
		return
	}
	if len(r.segments) == maxSegments {
		r.segments = append(r.segments[:0], r.segments[1:]...)
		r.countFrom(max(0, r.current-1))
	}
	r.segments = append(r.segments, segment{marker: marker, first: r.count, from: notYet, began: now, chain: r.chain})
	if r.segments[r.current].alone {
		r.confirm(len(r.segments) - 1)
	}
}

// Confirm notes that all other instances have heard a marker. All of them have to be told so at the same place in the stream: then
// they give the same positions.
func (r *Ring) Confirm(marker uint64) {
	if i := r.find(marker); i > r.current {
		r.confirm(i)
	}
}

func (r *Ring) confirm(segment int) {
	for i := r.current + 1; i <= segment; i++ {
		r.segments[i].from = r.count
	}
	r.countFrom(segment)
}

// find returns the segment that began at a marker; -1 if it is not known.
func (r *Ring) find(marker uint64) int {
	for i := len(r.segments) - 1; i >= 0; i-- {
		if r.segments[i].marker == marker {
			return i
		}
	}
	return -1
}

// countFrom has Head count in a segment.
func (r *Ring) countFrom(segment int) {
	r.current = segment
	r.sum = r.chain.since(r.segments[segment].chain, r.count-r.segments[segment].first)
}

// Head returns the position behind the last notification.
func (r *Ring) Head() position.Position {
	s := &r.segments[r.current]
	return position.Position{Marker: s.marker, Count: r.count - s.first, Check: r.sum.check()}
}

// Append notes a notification that was heard at a time, in Unix milliseconds, and returns the position behind it. With keep
// it can be replayed. Without, nobody can get it: it counts, and nothing of it is kept.
func (r *Ring) Append(key Key, payload string, keep bool, now int64) position.Position {
	why := present
	if len(payload) > len(r.entries)/biggestShare-entrySize-maxName {
		why = tooBig
	}
	r.append(key, payload, keep, why, now)
	return r.Head()
}

// Break notes that others for a key may have come before now that were not heard: whoever has a position from before may
// have missed them. It counts as a notification, so that only the positions of one instance may have breaks in between.
func (r *Ring) Break(key Key, now int64) { r.append(key, "", true, unheard, now) }

func (r *Ring) append(key Key, payload string, keep bool, why absence, now int64) {
	r.expire(now)
	r.count++
	one := sumOf(key, payload)
	r.chain, r.sum = r.chain.add(one), r.sum.add(one)
	r.write(key, payload, keep && len(key.Name) <= maxName, why, now)
	at := int(r.count%uint64(len(r.checks)/4)) * 4
	binary.LittleEndian.PutUint32(r.checks[at:], uint32(r.chain))
}

// Reach returns how far back the ring goes: a client that left so long ago, or less, gets what it missed. It is Config's
// window at most.
func (r *Ring) Reach(now int64) time.Duration {
	return min(r.window, time.Duration(max(0, now-r.forgotten))*time.Millisecond)
}

// Used returns how many bytes the notifications take that are kept.
func (r *Ring) Used() int { return int(r.head - r.tail) }

// Room returns how many there can be.
func (r *Ring) Room() int { return len(r.entries) }

// Kept returns how many notifications are kept.
func (r *Ring) Kept() int { return int(r.count - r.floor) }
