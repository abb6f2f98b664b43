package iplimit

import "sync"

// Counter counts connections by the client's address, IPv6 by its /64. A
// connection keeps the number of its place, four bytes. Any goroutine. The zero
// value is empty.
type Counter struct {
	mu     sync.Mutex
	places map[Source]uint32 // guarded by mu: 1 + the index in counts
	counts []count           // guarded by mu
	free   []uint32          // guarded by mu: places that nobody has
}

type count struct {
	of Source
	n  int
}

// Acquire counts a connection of an address and returns its place, or false if
// the address has limit of them already.
func (a *Counter) Acquire(of Source, limit int) (place uint32, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	place = a.places[of]
	if place == 0 {
		place = a.newPlace(of)
	}
	c := &a.counts[place-1]
	if c.n >= limit {
		return 0, false
	}
	c.n++
	return place, true
}

// Full reports whether Acquire would fail.
func (a *Counter) Full(of Source, limit int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	place := a.places[of]
	return place != 0 && a.counts[place-1].n >= limit
}

// newPlace makes a place for an address. The caller holds mu.
func (a *Counter) newPlace(of Source) (place uint32) {
	if a.places == nil {
		a.places = make(map[Source]uint32)
	}
	if last := len(a.free) - 1; last >= 0 {
		place, a.free = a.free[last], a.free[:last]
	} else {
		a.counts = append(a.counts, count{})
		place = uint32(len(a.counts))
	}
	a.counts[place-1] = count{of: of}
	a.places[of] = place
	return place
}

// Release counts one connection less in a place. Place 0 stands for no place.
func (a *Counter) Release(place uint32) {
	if place == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c := &a.counts[place-1]
	if c.n--; c.n > 0 {
		return
	}
	delete(a.places, c.of)
	*c = count{}
	a.free = append(a.free, place)
	if len(a.places) == 0 { // give the memory back
		a.places, a.counts, a.free = nil, nil, nil
	}
}

// SourceOf returns the address of a place; false for place 0.
func (a *Counter) SourceOf(place uint32) (of Source, ok bool) {
	if place == 0 {
		return 0, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts[place-1].of, true
}

// Len returns how many addresses have a connection.
func (a *Counter) Len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.places)
}
