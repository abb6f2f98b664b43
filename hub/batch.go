package hub

import "sync/atomic"

// batch is the connections that one notification goes to, copied out of the
// registry so that no lock is held while they are handed over.
type batch struct {
	conns []Conn
}

// maxBatch bounds, in connections, the batch that is kept for the next one.
const maxBatch = 4096

// spareBatch keeps the memory of one batch, and no connection. Any goroutine.
type spareBatch struct {
	kept atomic.Pointer[batch]
}

// fill returns a batch that holds conns.
func (s *spareBatch) fill(conns []Conn) *batch {
	b := s.kept.Swap(nil)
	if b == nil {
		b = new(batch)
	}
	b.conns = append(b.conns, conns...)
	return b
}

// keep takes a batch back, or nil.
func (s *spareBatch) keep(b *batch) {
	if b == nil || cap(b.conns) > maxBatch {
		return
	}
	clear(b.conns) // of connections that have closed nothing stays
	b.conns = b.conns[:0]
	s.kept.Store(b)
}
