package netpoll

import (
	"sync"
	"sync/atomic"
	"time"
)

// pageSize is how many descriptors share a page of the table.
const pageSize = 1024

type page struct {
	conns  [pageSize]atomic.Pointer[conn]
	opened [pageSize]atomic.Uint32 // when conns were admitted, in seconds since the server started
}

// table finds the connection that has a descriptor, and keeps what is rarely
// asked for: twelve bytes a connection, since the kernel gives out the lowest free
// number. The zero value is empty.
//
// A loop writes the entries of its own connections, and any loop may read any:
// the number of a connection that was closed a moment ago can be that of another
// loop's by now.
type table struct {
	pages atomic.Pointer[[]*page] // replaced whole when it grows
	grow  sync.Mutex
}

// get returns the connection that has fd, nil if none has.
func (t *table) get(fd int32) *conn {
	pages := t.pages.Load()
	if pages == nil || int(fd)/pageSize >= len(*pages) {
		return nil
	}
	return (*pages)[fd/pageSize].conns[fd%pageSize].Load()
}

// set says whose fd is; c is nil once it is nobody's.
func (t *table) set(fd int32, c *conn) {
	pages := t.pages.Load()
	if pages == nil || int(fd)/pageSize >= len(*pages) {
		pages = t.extend(int(fd)/pageSize + 1)
	}
	(*pages)[fd/pageSize].conns[fd%pageSize].Store(c)
}

// setOpened says when the connection that has fd was admitted.
func (t *table) setOpened(fd int32, when time.Duration) {
	(*t.pages.Load())[fd/pageSize].opened[fd%pageSize].Store(uint32(when / time.Second))
}

// opened returns when that was, to the second.
func (t *table) opened(fd int32) time.Duration {
	return time.Duration((*t.pages.Load())[fd/pageSize].opened[fd%pageSize].Load()) * time.Second
}

// extend makes room for n pages.
func (t *table) extend(n int) *[]*page {
	t.grow.Lock()
	defer t.grow.Unlock()
	var pages []*page
	if old := t.pages.Load(); old != nil {
		pages = append(pages, *old...)
	}
	for len(pages) < n {
		pages = append(pages, new(page))
	}
	t.pages.Store(&pages)
	return &pages
}
