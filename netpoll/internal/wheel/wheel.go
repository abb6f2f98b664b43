// Package wheel is a timing wheel: one timer an entry, one list a tick, and both
// arming and disarming a few pointer writes, whatever the number of timers. A tick
// touches only what is due, or shares its slot.
//
// It has no clock: time is an argument, in ticks whose length the caller decides. The
// entries are the caller's, and have their place in the wheel in themselves, so that
// nothing is allocated. A wheel belongs to one goroutine at a time.
package wheel

import (
	"math"
	"math/bits"
)

// Tick counts the wheel's steps since some beginning. 64 bits: no wrap to think of.
type Tick int64

// Slots is how many ticks lie ahead of the wheel before timers share a slot with
// nearer ones: at half a second a tick, four minutes.
const Slots = 512

// Furthest is how many ticks ahead a timer can be set: an entry has 32 bits of a tick.
const Furthest = 1 << 30

// Entry is what has a timer: a pointer to something of the caller's. Its two parts are
// apart so that the smaller one can share a word with other fields.
type Entry[E any] interface {
	comparable
	WheelLinks() *Links[E]
	WheelDue() *uint32 // when the timer fires, modulo 2^32
}

// Links is an entry's place in the wheel. The zero value is in none.
type Links[E any] struct {
	next E
	from *E // what points here: a slot, or the next of the one before; nil while not armed
}

// Wheel is a timing wheel. The zero value is empty, at tick 0.
type Wheel[E Entry[E]] struct {
	slots    [Slots]E // each the first of a list
	occupied [Slots / 64]uint64
	due      E    // the first of the list that is being fired
	dueTick  Tick // whose list that is
	now      Tick // everything up to and including it has fired
	armed    int  // timers in the wheel
}

// Now returns the tick up to which everything has fired.
func (w *Wheel[E]) Now() Tick { return w.now }

// Len returns how many timers are armed.
func (w *Wheel[E]) Len() int { return w.armed }

// Skip moves an empty wheel forward: it stands still while it is empty, and must not
// start in the past. A wheel that is not empty stays where it is.
func (w *Wheel[E]) Skip(to Tick) {
	if w.armed == 0 {
		w.now = max(w.now, to)
	}
}

// Arm sets e's timer to fire at a tick, taking it from its old place if it has one. A
// tick that has passed means the next one, and one beyond Furthest that.
func (w *Wheel[E]) Arm(e E, at Tick) {
	w.Disarm(e)
	*e.WheelDue() = uint32(min(max(at, w.now+1), w.now+Furthest))
	w.insert(e)
	w.armed++
}

// At returns when the timer of e fires.
func (w *Wheel[E]) At(e E) Tick { return w.now + Tick(int32(*e.WheelDue()-uint32(w.now))) }

// Disarm takes e's timer out; one that is not in does no harm.
func (w *Wheel[E]) Disarm(e E) {
	links := e.WheelLinks()
	if links.from == nil {
		return
	}
	unlink(links)
	w.armed--
}

// Advance moves the wheel to now and calls fire for each timer that is due, in no
// particular order within a tick. fire may arm and disarm any timer, its own included.
func (w *Wheel[E]) Advance(now Tick, fire func(E)) { w.AdvanceSome(now, math.MaxInt, fire) }

// AdvanceSome is Advance for a caller that has other things to do as well: it stops once so many timers have fired. The
// next call goes on, and Next says that it is due at once.
func (w *Wheel[E]) AdvanceSome(now Tick, most int, fire func(E)) {
	left := w.fireDue(now, most, fire)
	// After a pause longer than the wheel is wide, one round visits every slot.
	for t := max(w.now+1, now-Slots+1); t <= now && left > 0; t++ {
		w.now = max(w.now, t-1)
		left = w.visit(t, now, left, fire)
	}
	if left > 0 {
		w.now = max(w.now, now)
	}
}

// visit fires what is due in the slot of tick t, left timers at most, and puts back what is not. It returns what is left of left.
func (w *Wheel[E]) visit(t, now Tick, left int, fire func(E)) int {
	i := int(t % Slots)
	if w.occupied[i/64]&(1<<(i%64)) == 0 {
		return left
	}
	// The list moves to a place of its own first: what fire arms may land in this
	// very slot, a round later.
	moveList(&w.due, &w.slots[i])
	w.occupied[i/64] &^= 1 << (i % 64)
	w.dueTick = t
	return w.fireDue(now, left, fire)
}

// fireDue is visit for the list that is being fired.
func (w *Wheel[E]) fireDue(now Tick, left int, fire func(E)) int {
	var none E
	for w.due != none && left > 0 {
		e := w.due
		unlink(e.WheelLinks())
		if w.At(e) > now {
			w.insert(e)
			continue
		}
		w.armed--
		left--
		w.now = max(w.now, w.dueTick)
		fire(e)
	}
	return left
}

// Next returns a tick before which nothing fires, or false if nothing is armed. It may
// be early by whole rounds for timers beyond the wheel's width.
func (w *Wheel[E]) Next() (Tick, bool) {
	var none E
	switch {
	case w.armed == 0:
		return 0, false
	case w.due != none: // AdvanceSome has stopped
		return w.now, true
	}
	for ahead := Tick(1); ahead <= Slots; {
		i := int((w.now + ahead) % Slots)
		// The bits of this word of the bitmap from slot i on.
		if rest := w.occupied[i/64] >> (i % 64); rest != 0 {
			return w.now + ahead + Tick(bits.TrailingZeros64(rest)), true
		}
		ahead += Tick(64 - i%64)
	}
	return w.now + 1, true // a stale bit was cleared: look again at the next tick
}

// Each calls fn for every entry in the wheel, whenever it is due. fn may disarm any
// timer and arm it again.
func (w *Wheel[E]) Each(fn func(E)) {
	all := make([]E, 0, w.armed)
	var none E
	for _, e := range append(w.slots[:len(w.slots):len(w.slots)], w.due) {
		for ; e != none; e = e.WheelLinks().next {
			all = append(all, e)
		}
	}
	for _, e := range all {
		fn(e)
	}
}

// insert puts e in front of the list of its tick.
func (w *Wheel[E]) insert(e E) {
	i := int(*e.WheelDue() % Slots)
	w.occupied[i/64] |= 1 << (i % 64)
	slot, links := &w.slots[i], e.WheelLinks()
	links.next, links.from = *slot, slot
	var none E
	if *slot != none {
		(*slot).WheelLinks().from = &links.next
	}
	*slot = e
}

func unlink[E Entry[E]](links *Links[E]) {
	*links.from = links.next
	var none E
	if links.next != none {
		links.next.WheelLinks().from = links.from
	}
	*links = Links[E]{}
}

// moveList moves the list that begins at from to to, which is empty.
func moveList[E Entry[E]](to, from *E) {
	var none E
	*to, *from = *from, none
	if *to != none {
		(*to).WheelLinks().from = to
	}
}
