package netpoll

import "math/bits"

// tick counts the wheel's steps since its loop began; how long one is the loop
// decides. 64 bits: no wrap to think of.
type tick int64

// wheelSlots is how many ticks lie ahead of the wheel before timers share a
// slot with nearer ones: at the usual half second a tick, four minutes.
const wheelSlots = 512

// wheel is a timing wheel: every connection's one timer, one list a tick. Arming
// and disarming are a few pointer writes, whatever the number of timers, and a
// tick touches only what is due (or shares its slot). Time is an argument: the
// wheel has no clock. It belongs to its loop. The zero value is empty.
type wheel struct {
	slots    [wheelSlots]*conn // each the first of a list
	occupied [wheelSlots / 64]uint64
	due      *conn // the first of the list that is being fired
	now      tick  // everything up to and including it has fired
	armed    int   // timers in the wheel
}

// timer is a connection's place in the wheel. When it fires conn.due says.
type timer struct {
	next *conn
	from **conn // what points here: a slot, or the next of the one before; nil while not armed
}

// furthest is how many ticks ahead a timer can be set: conn.due has 32 bits of a tick.
const furthest = 1 << 30

// arm sets c's timer to fire at a tick, taking it from its old place if it has
// one. A tick that has passed means the next one, and one beyond furthest that.
func (w *wheel) arm(c *conn, at tick) {
	w.disarm(c)
	c.due = uint32(min(max(at, w.now+1), w.now+furthest))
	w.insert(c)
	w.armed++
}

// at returns when the timer of c fires.
func (w *wheel) at(c *conn) tick { return w.now + tick(int32(c.due-uint32(w.now))) }

// disarm takes c's timer out; one that is not in does no harm.
func (w *wheel) disarm(c *conn) {
	if c.timer.from == nil {
		return
	}
	unlink(c)
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
	// The list moves to a place of its own first: what fire arms may land in this
	// very slot, a round later.
	moveList(&w.due, &w.slots[i])
	w.occupied[i/64] &^= 1 << (i % 64)
	for w.due != nil {
		c := w.due
		unlink(c)
		if w.at(c) > now {
			w.insert(c)
			continue
		}
		w.armed--
		w.now = max(w.now, t)
		fire(c)
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

// each calls fn for every connection in the wheel, whenever it is due. fn may
// disarm the timer that it was called for and arm it again.
func (w *wheel) each(fn func(*conn)) {
	all := make([]*conn, 0, w.armed)
	for _, c := range w.slots {
		for ; c != nil; c = c.timer.next {
			all = append(all, c)
		}
	}
	for _, c := range all {
		fn(c)
	}
}

// insert puts c in front of the list of its tick.
func (w *wheel) insert(c *conn) {
	i := int(c.due % wheelSlots)
	w.occupied[i/64] |= 1 << (i % 64)
	slot := &w.slots[i]
	c.timer.next, c.timer.from = *slot, slot
	if *slot != nil {
		(*slot).timer.from = &c.timer.next
	}
	*slot = c
}

func unlink(c *conn) {
	t := &c.timer
	*t.from = t.next
	if t.next != nil {
		t.next.timer.from = t.from
	}
	t.next, t.from = nil, nil
}

// moveList moves the list that begins at from to to, which is empty.
func moveList(to, from **conn) {
	*to, *from = *from, nil
	if *to != nil {
		(*to).timer.from = to
	}
}
