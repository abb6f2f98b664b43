// Package ring remembers what was heard of late, so that a client which comes back gets what it missed. It is a data
// structure and nothing else: no goroutine, no lock, no clock. The caller holds a lock around every call and says what time
// it is.
//
// Everything is in one piece of memory without pointers, which the collector has nothing to follow in:
//
//   - the notifications themselves, one behind the other, the oldest overwritten by the newest;
//   - for each place in the stream the checksum there, to verify positions with;
//   - a hash table of users, groups and everyone. A slot leads to the last notification of a key; from there one link leads
//     to the one before of the same key, and another to the last one of the next key in the slot. A link to what has been
//     overwritten is an end, so that nothing has to be unlinked.
package ring

import (
	"crypto/rand"
	"encoding/binary"
	"hash/crc32"
	"slices"
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

	entrySize    = 56                            // of an entry without its name and its payload
	smallest     = 64                            // entry, in bytes
	perSlot      = 512                           // bytes of entries for each slot of the hash table
	perSmallest  = smallest + 4 + 8*smallest/512 // what a smallest entry takes with its checksum and its part of the table
	maxName      = 1 << 10                       // longer names belong to nobody: see names.MaxUser
	biggestShare = 8                             // a notification that takes more than this part of the entries is not kept
	maxSegments  = 1024                          // positions behind older markers are unknown
)

// Ring is what was heard of late. Make it with New.
type Ring struct {
	window time.Duration // static
	key    hashKey       // static

	entries []byte // a multiple of 8 bytes
	checks  []byte // 4 bytes for each place, by its number modulo their count
	slots   []byte // 8 bytes each, a power of two of them: 1 + the offset of an entry; 0: none

	head, tail uint64    // offsets: entries are in [tail, head), at their offset modulo len(entries)
	count      uint64    // the number of the last one heard: of the first it is 1
	floor      uint64    // all numbers above have their entry
	sum        uint32    // chained since the last marker
	lengths    [13]byte  // sumOf's, so that it allocates nothing
	segments   []segment // oldest first, one at least
	heard      int64     // when the last one was heard, or the last marker; Unix milliseconds
	forgotten  int64     // when the newest one was heard that is gone, or when the stream began; Unix milliseconds
}

// segment is the stream from a marker to the next one.
type segment struct {
	marker uint64
	first  uint64 // Ring.count at the marker
	began  int64  // Unix milliseconds
}

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
	r.slots, memory = memory[:8*slots], memory[8*slots:]
	r.checks, memory = memory[:checks], memory[checks:]
	r.entries = memory[:len(memory)&^7]
	// An entry has smallest bytes, so that there are never more of them than places for checksums.
	r.entries = r.entries[:min(len(r.entries), (checks/4-2)*smallest)]
	return r
}

// Reset forgets everything: what is heard from now on is another stream, which begins at a marker.
func (r *Ring) Reset(marker uint64, now int64) {
	r.tail, r.floor, r.sum, r.forgotten = r.head, r.count, 0, now
	r.segments = append(r.segments[:0], segment{marker: marker, first: r.count, began: now})
}

// Mark notes that a marker was heard. One that is known already is none: a position at it would be in two places.
func (r *Ring) Mark(marker uint64, now int64) {
	if slices.ContainsFunc(r.segments, func(s segment) bool { return s.marker == marker }) {
		return
	}
	if len(r.segments) == maxSegments {
		r.segments = append(r.segments[:0], r.segments[1:]...)
	}
	r.segments = append(r.segments, segment{marker: marker, first: r.count, began: now})
	r.sum, r.heard = 0, now
}

// Head returns the position behind the last notification.
func (r *Ring) Head() position.Position {
	last := r.segments[len(r.segments)-1]
	return position.Position{Marker: last.marker, Count: r.count - last.first, Check: position.CheckOf(r.sum)}
}

// HeardSinceMark returns how many notifications were heard since the last marker.
func (r *Ring) HeardSinceMark() uint64 { return r.count - r.segments[len(r.segments)-1].first }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

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
	r.heard = now
	r.sum = r.sumOf(key, payload)
	r.write(key, payload, keep && len(key.Name) <= maxName, why, now)
	at := int(r.count%uint64(len(r.checks)/4)) * 4
	binary.LittleEndian.PutUint32(r.checks[at:], r.sum)
}

// sumOf chains one notification to the checksum. The lengths are in it, so that no two series of notifications have the
// same bytes.
func (r *Ring) sumOf(key Key, payload string) uint32 {
	r.lengths[0] = byte(key.Kind)
	binary.LittleEndian.PutUint32(r.lengths[1:], uint32(len(key.Name)))
	binary.LittleEndian.PutUint64(r.lengths[5:], uint64(len(payload)))
	sum := crc32.Update(r.sum, castagnoli, r.lengths[:])
	sum = updateSum(sum, key.Name)
	return updateSum(sum, payload)
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
