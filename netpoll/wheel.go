package netpoll

import "math/bits"

// tick counts the wheel's steps since its loop began; how long one is the loop
// decides. 64 bits: no wrap to think of.
type tick int64

// wheelSlots is how many ticks lie ahead of the wheel before timers share a
// slot with nearer ones: at the usual half second a tick, four minutes.
const wheelSlots = 512

// wheel is a timing wheel: every timer of a loop, one list a tick. Arming and
// disarming are a few pointer writes, whatever the number of timers, and a tick
// touches only what is due (or shares its slot). Time is an argument: the wheel
// has no clock. It belongs to its loop.
type wheel struct {
	slots    [wheelSlots]timer // each the sentinel of a circular list
	occupied [wheelSlots / 64]uint64
	due      timer // sentinel of the list that is being fired
	now      tick  // everything up to and including it has fired
	armed    int   // timers in the wheel
}

// timer is a wheel's entry, embedded in what it belongs to.
type timer struct {
	next, prev *timer // nil while not armed
	at         tick
	owner      *conn // nil in a sentinel
}

func (w *wheel) init() {
	for i := range w.slots {
		w.slots[i].next, w.slots[i].prev = &w.slots[i], &w.slots[i]
	}
}

// arm sets t to fire at a tick, taking it from its old place if it has one. A
// tick that has passed means the next one.
func (w *wheel) arm(t *timer, at tick) {
	w.disarm(t)
	t.at = max(at, w.now+1)
	w.insert(t)
	w.armed++
}

// disarm takes t out; one that is not in does no harm.
func (w *wheel) disarm(t *timer) {
	if t.next == nil {
		return
	}
	unlink(t)
	w.armed--
}

// advance moves the wheel to now and calls fire for each timer that is due, in
// no particular order within a tick. fire may arm and disarm any timer, its own
// included.
func (w *wheel) advance(now tick, fire func(*conn)) {
	// After a pause longer than the wheel is wide, one round visits every slot.
	for t := max(w.now+1, now-wheelSlots+1); t <= now; t++ {
		w.now = max(w.now, t-1)
		w.visit(t, now, fire)
	}
	w.now = max(w.now, now)
}

// visit fires what is due in the slot of tick t and puts the rest back.
func (w *wheel) visit(t, now tick, fire func(*conn)) {
	i := int(t % wheelSlots)
	if w.occupied[i/64]&(1<<(i%64)) == 0 {
		return
	}
	// The list moves to a sentinel of its own first: what fire arms may land in
	// this very slot, a round later.
	due := &w.due
	due.takeAll(&w.slots[i])
	w.occupied[i/64] &^= 1 << (i % 64)
	for due.next != due {
		entry := due.next
		unlink(entry)
		if entry.at > now {
			w.insert(entry)
			continue
		}
		w.armed--
		w.now = max(w.now, t)
		fire(entry.owner)
	}
}

// next returns a tick before which nothing fires, or false if nothing is armed.
// It may be early by whole rounds for timers beyond the wheel's width.
func (w *wheel) next() (tick, bool) {
	if w.armed == 0 {
		return 0, false
	}
	for ahead := tick(1); ahead <= wheelSlots; {
		i := int((w.now + ahead) % wheelSlots)
		// What is left of this word of the bitmap, from slot i on.
		if rest := w.occupied[i/64] >> (i % 64); rest != 0 {
			return w.now + ahead + tick(bits.TrailingZeros64(rest)), true
		}
		ahead += tick(64 - i%64)
	}
	return w.now + 1, true // a stale bit was cleared: look again at the next tick
}

// each calls fn for every owner in the wheel, whenever it is due. fn may disarm
// the timer that it was called for and arm it again.
func (w *wheel) each(fn func(*conn)) {
	var all []*conn
	for i := range w.slots {
		for t := w.slots[i].next; t != &w.slots[i]; t = t.next {
			all = append(all, t.owner)
		}
	}
	for _, c := range all {
		fn(c)
	}
}

func (w *wheel) insert(t *timer) {
	i := int(t.at % wheelSlots)
	w.occupied[i/64] |= 1 << (i % 64)
	head := &w.slots[i]
	t.next, t.prev = head, head.prev
	head.prev.next = t
	head.prev = t
}

func unlink(t *timer) {
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev = nil, nil
}

// takeAll moves the list of another sentinel to this one.
func (t *timer) takeAll(from *timer) {
	if from.next == from {
		t.next, t.prev = t, t
		return
	}
	t.next, t.prev = from.next, from.prev
	t.next.prev, t.prev.next = t, t
	from.next, from.prev = from, from
}
