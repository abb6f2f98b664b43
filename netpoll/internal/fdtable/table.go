// Package fdtable finds what has a descriptor. The kernel gives out the lowest free
// number, so that a table indexed by it stays dense: eight bytes a descriptor, and
// four more where it is noted when owners were admitted.
package fdtable

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// pageSize is how many descriptors share a page of the table.
const pageSize = 1024

// page is a part of the table. The arrays are objects of their own, which fill their size classes.
type page[T any] struct {
	owners *[pageSize]atomic.Pointer[T] // nil: the page was given back
	*pageState
}

// empty reports whether the page is there and no descriptor of it has an owner.
func (p page[T]) empty() bool { return p.owners != nil && p.taken.Load() == 0 }

type pageState struct {
	taken  atomic.Int32                            // how many owners there are, or are about to be; or pageDropped
	opened atomic.Pointer[[pageSize]atomic.Uint32] // when owners were admitted, in seconds; nil before SetOpened
}

// pageDropped in place of a count says that the page was given back.
const pageDropped = -1

// take counts one more owner, unless the page was given back.
func (s *pageState) take() bool {
	for {
		n := s.taken.Load()
		if n == pageDropped {
			return false
		}
		if s.taken.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Table finds the owner of a descriptor, and when it was admitted, which is rarely
// asked for. It gives memory back. The zero value is empty.
//
// Any goroutine may read any entry, since the number of a descriptor that was closed
// a moment ago can be that of another's by now; an entry has one writer at a time.
type Table[T any] struct {
	pages  atomic.Pointer[[]page[T]] // replaced whole when it grows or shrinks
	resize sync.Mutex                // held by who replaces it
}

// page returns that of a descriptor; its owners are nil if there is none.
func (t *Table[T]) page(fd int32) page[T] {
	pages := t.pages.Load()
	if pages == nil || int(fd)/pageSize >= len(*pages) {
		return page[T]{}
	}
	return (*pages)[fd/pageSize]
}

// Get returns the owner of fd, nil if it has none.
func (t *Table[T]) Get(fd int32) *T {
	p := t.page(fd)
	if p.owners == nil {
		return nil
	}
	return p.owners[fd%pageSize].Load()
}

// Set says whose fd is; owner is nil once no connection has it.
func (t *Table[T]) Set(fd int32, owner *T) {
	p := t.page(fd)
	had := p.owners != nil && p.owners[fd%pageSize].Load() != nil
	switch {
	case !had && owner == nil:
		return
	case !had:
		for p.owners == nil || !p.take() {
			p = t.extend(int(fd) / pageSize)
		}
	}
	p.owners[fd%pageSize].Store(owner)
	if owner == nil && p.taken.Add(-1) == 0 {
		t.shrink()
	}
}

// SetOpened says when the owner of fd, which has been set, was admitted.
func (t *Table[T]) SetOpened(fd int32, when time.Duration) {
	p := t.page(fd)
	opened := p.opened.Load()
	if opened == nil {
		p.opened.CompareAndSwap(nil, new([pageSize]atomic.Uint32))
		opened = p.opened.Load()
	}
	opened[fd%pageSize].Store(uint32(when / time.Second))
}

// Opened returns when that was, to the second; 0 if nobody said.
func (t *Table[T]) Opened(fd int32) time.Duration {
	p := t.page(fd)
	if p.owners == nil {
		return 0
	}
	opened := p.opened.Load()
	if opened == nil {
		return 0
	}
	return time.Duration(opened[fd%pageSize].Load()) * time.Second
}

// extend makes a page, if it is not there, and returns it.
func (t *Table[T]) extend(at int) page[T] {
	t.resize.Lock()
	defer t.resize.Unlock()
	var pages []page[T]
	if old := t.pages.Load(); old != nil {
		pages = *old
	}
	if at < len(pages) && pages[at].owners != nil {
		return pages[at]
	}
	pages = slices.Clone(pages)
	for len(pages) <= at {
		pages = append(pages, page[T]{})
	}
	pages[at] = page[T]{new([pageSize]atomic.Pointer[T]), new(pageState)}
	t.pages.Store(&pages)
	return pages[at]
}

// shrink gives empty pages back, but for the first, in which the next descriptor is.
func (t *Table[T]) shrink() {
	t.resize.Lock()
	defer t.resize.Unlock()
	old, kept := *t.pages.Load(), false
	var pages []page[T] // a copy of old, made for the first page that goes
	for i, p := range old {
		switch {
		case !p.empty():
		case !kept:
			kept = true
		case p.taken.CompareAndSwap(0, pageDropped):
			if pages == nil {
				pages = slices.Clone(old)
			}
			pages[i] = page[T]{}
		}
	}
	if pages == nil {
		return
	}
	for pages[len(pages)-1].owners == nil {
		pages = pages[:len(pages)-1]
	}
	fewer := pages // the only variable here that is allocated
	t.pages.Store(&fewer)
}
