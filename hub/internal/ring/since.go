package ring

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"
	"time"
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
		e, offset, ok := r.last(key)
		for ok && e.number() > number {
			bytes += len(e.payload())
			if e.absent() == unheard {
				return nil, after, Unheard
			}
			if e.absent() == tooBig || len(missed) == most.Items || bytes > most.Bytes {
				return nil, after, TooMany
			}
			missed = append(missed, Missed{Key: key, Size: len(e.payload()), Heard: e.heard(), number: e.number(), offset: offset})
			offset = e.same() - 1
			e, ok = r.linked(e.same())
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
	for _, s := range r.segments {
		if s.marker == p.Marker {
			return position.Position{Marker: p.Marker, Count: p.Count - 1, Check: position.CheckOf(r.check(s, number-1))}, true
		}
	}
	return position.Position{}, false
}

// Ahead reports whether a position lies behind all that was heard since the last marker, and something was heard within a
// while: then others hear faster, and what is up to the position will come. now is in Unix milliseconds.
func (r *Ring) Ahead(p position.Position, now int64, while time.Duration) bool {
	last := r.segments[len(r.segments)-1]
	return p.Marker == last.marker && p.Count > r.count-last.first && now-r.heard < while.Milliseconds()
}

// number finds a position: it is the number of the last notification before it.
func (r *Ring) number(p position.Position) (number uint64, after int64, why Refusal) {
	i := len(r.segments) - 1
	for i >= 0 && r.segments[i].marker != p.Marker {
		i--
	}
	if i < 0 || p.IsZero() {
		return 0, 0, Unknown
	}
	s, end := r.segments[i], r.count
	if i+1 < len(r.segments) {
		end = r.segments[i+1].first
	}
	number = s.first + p.Count
	switch {
	case p.Count > end-s.first:
		return 0, s.began, Mismatch
	case number < r.floor:
		return 0, s.began, TooOld
	case p.Check != position.CheckOf(r.check(s, number)):
		return 0, s.began, Mismatch
	}
	return number, s.began, NotRefused
}

// check returns the checksum behind a notification of a segment, or at its marker. Its number is not below the floor.
func (r *Ring) check(s segment, number uint64) uint32 {
	if number == s.first {
		return 0
	}
	return binary.LittleEndian.Uint32(r.checks[number%uint64(len(r.checks)/4)*4:])
}

// position is that behind a notification that is kept.
func (r *Ring) position(number uint64) position.Position {
	i := sort.Search(len(r.segments), func(i int) bool { return r.segments[i].first >= number }) - 1
	s := r.segments[i]
	return position.Position{Marker: s.marker, Count: number - s.first, Check: position.CheckOf(r.check(s, number))}
}
