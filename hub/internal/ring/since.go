package ring

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"
	"unsafe"

	"roost/internal/position"
)

// Refusal is why a position can't be resumed from.
type Refusal uint8

// The reasons for which nothing is replayed.
const (
	NotRefused Refusal = iota
	Unknown            // no position, or one behind a marker that was not heard here, or was forgotten
	TooOld             // something behind it is not kept any more
	Mismatch           // other notifications were heard up to there
	TooMany            // more was missed than is replayed
	Unheard            // not all that came behind it was heard
	refusals
)

// Refusals is how many values of Refusal there are.
const Refusals = refusals

// String returns the reason as metrics name it.
func (r Refusal) String() string {
	return [refusals]string{"", "unknown", "too_old", "mismatch", "too_many", "unheard"}[r]
}

// Missed is a notification to replay.
type Missed struct {
	Key      Key
	Payload  string            // by Fill
	Size     int               // of the payload
	Heard    int64             // Unix milliseconds
	Position position.Position // behind it

	number uint64
	offset uint64
}

// Bounds are how much is replayed at most.
type Bounds struct{ Items, Bytes int }

// Since returns what was heard for keys behind a position, in the order in which it was heard, or why it can't. All or
// nothing: never a part. The payloads are for Fill. after is a time that is not later than that of the position; 0: none is known.
func (r *Ring) Since(p position.Position, keys []Key, most Bounds) (missed []Missed, after int64, why Refusal) {
	number, after, why := r.number(p)
	if why != NotRefused {
		return nil, after, why
	}
	bytes := 0
	for _, key := range keys {
		look := r.lookFor(key, number)
		for e, offset, ok := look.next(); ok; e, offset, ok = look.next() {
			bytes += len(e.payload())
			if e.absent() == unheard {
				return nil, after, Unheard
			}
			if e.absent() == tooBig || len(missed) == most.Items || bytes > most.Bytes {
				return nil, after, TooMany
			}
			missed = append(missed, Missed{Key: key, Size: len(e.payload()), Heard: e.heard(), number: e.number(), offset: offset})
		}
	}
	slices.SortFunc(missed, func(a, b Missed) int { return cmp.Compare(a.number, b.number) })
	for i := range missed {
		missed[i].Position = r.position(missed[i].number)
	}
	return missed, after, NotRefused
}

// Fill fills the payloads of the first of missed in, from what Since returned, as many as there is room for in buf, which is
// the payloads' from then on. ok is false where one is not kept any more.
func (r *Ring) Fill(missed []Missed, buf []byte) (filled int, ok bool) {
	for i := range missed {
		m := &missed[i]
		switch {
		case m.offset < r.tail:
			return filled, false
		case m.Size > len(buf):
			return filled, true
		case m.Size > 0:
			m.Payload = unsafe.String(&buf[0], copy(buf, r.at(m.offset).payload()))
			buf = buf[m.Size:]
		}
		filled++
	}
	return filled, true
}

// Before returns the position before the notification that another position is behind. ok is false where that is not kept
// any more, or is no such position.
func (r *Ring) Before(p position.Position) (before position.Position, ok bool) {
	number, _, why := r.number(p)
	if why != NotRefused || p.Count == 0 || number-1 < r.floor {
		return position.Position{}, false
	}
	return position.Position{Marker: p.Marker, Count: p.Count - 1, Check: r.check(r.segments[r.find(p.Marker)], number-1)}, true
}

// ahead is the nearest place, behind all that was heard, which a client said it has come to.
type ahead struct {
	number uint64
	since  int64 // when the first one said so, in Unix milliseconds
}

// Ahead reports whether a position lies behind all that was heard, and what is up to it may still come: others hear faster. proven
// is a time up to which all that Redis had sent was heard. If that is later than when a client was at such a place before, by
// position.MaxLag for what is under way between two Redis, what is heard here is not what the client has heard. Both times are in
// Unix milliseconds.
func (r *Ring) Ahead(p position.Position, now, proven int64) bool {
	i := r.find(p.Marker)
	if i < 0 || p.Count <= r.count-r.segments[i].first {
		return false
	}
	number := r.segments[i].first + p.Count
	if r.ahead.number <= r.count || number < r.ahead.number {
		r.ahead = ahead{number: number, since: now}
	}
	return proven < r.ahead.since+position.MaxLag.Milliseconds()
}

// Knows reports whether the marker is known from which a position counts.
func (r *Ring) Knows(p position.Position) bool { return r.find(p.Marker) >= 0 }

// number finds a position: it is the number of the last notification before it.
func (r *Ring) number(p position.Position) (number uint64, after int64, why Refusal) {
	i := r.find(p.Marker)
	if i < 0 {
		return 0, 0, Unknown
	}
	s := r.segments[i]
	number = s.first + p.Count
	switch {
	case p.Count > r.count-s.first:
		return 0, s.began, Mismatch
	case number < r.floor:
		return 0, s.began, TooOld
	case p.Check != r.check(s, number):
		return 0, s.began, Mismatch
	}
	return number, s.began, NotRefused
}

// check returns that of a position behind a notification, in a segment that began before it. The number is not below the floor.
func (r *Ring) check(s segment, number uint64) uint32 {
	if number == s.first {
		return 0
	}
	chain := sum(binary.LittleEndian.Uint32(r.checks[number%uint64(len(r.checks)/4)*4:]))
	return chain.since(s.chain, number-s.first).check()
}

// position is that behind a notification that is kept: the same as Head returned when it was the last.
func (r *Ring) position(number uint64) position.Position {
	i := sort.Search(r.current+1, func(i int) bool { return r.segments[i].from >= number }) - 1
	s := r.segments[max(0, i)]
	return position.Position{Marker: s.marker, Count: number - s.first, Check: r.check(s, number)}
}
