// Package fdtable finds what has a descriptor. The kernel gives out the lowest free
// number, so that a table indexed by it stays dense: twelve bytes a descriptor.
package fdtable

import (
	"sync"
	"sync/atomic"
	"time"
)

// pageSize is how many descriptors share a page of the table.
const pageSize = 1024

type page[T any] struct {
	owners [pageSize]atomic.Pointer[T]
	opened [pageSize]atomic.Uint32 // when owners were admitted, in seconds
}

// Table finds the owner of a descriptor, and when it was admitted, which is rarely
// asked for. The zero value is empty.
//
// Any goroutine may read any entry, since the number of a descriptor that was closed
// a moment ago can be that of another's by now; an entry has one writer at a time.
type Table[T any] struct {
	pages atomic.Pointer[[]*page[T]] // replaced whole when it grows
	grow  sync.Mutex
}

// Get returns the owner of fd, nil if it has none.
func (t *Table[T]) Get(fd int32) *T {
	pages := t.pages.Load()
	if pages == nil || int(fd)/pageSize >= len(*pages) {
		return nil
	}
	return (*pages)[fd/pageSize].owners[fd%pageSize].Load()
}

// Set says whose fd is; owner is nil once no connection has it.
func (t *Table[T]) Set(fd int32, owner *T) {
	pages := t.pages.Load()
	if pages == nil || int(fd)/pageSize >= len(*pages) {
		pages = t.extend(int(fd)/pageSize + 1)
	}
	(*pages)[fd/pageSize].owners[fd%pageSize].Store(owner)
}

// SetOpened says when the owner of fd, which has been set, was admitted.
func (t *Table[T]) SetOpened(fd int32, when time.Duration) {
	(*t.pages.Load())[fd/pageSize].opened[fd%pageSize].Store(uint32(when / time.Second))
}

// Opened returns when that was, to the second.
func (t *Table[T]) Opened(fd int32) time.Duration {
	return time.Duration((*t.pages.Load())[fd/pageSize].opened[fd%pageSize].Load()) * time.Second
}

// extend makes room for n pages.
func (t *Table[T]) extend(n int) *[]*page[T] {
	t.grow.Lock()
	defer t.grow.Unlock()
	var pages []*page[T]
	if old := t.pages.Load(); old != nil {
		pages = append(pages, *old...)
	}
	for len(pages) < n {
		pages = append(pages, new(page[T]))
	}
	t.pages.Store(&pages)
	return &pages
}
