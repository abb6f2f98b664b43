package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"roost/hub/internal/fairqueue"
	"roost/hub/internal/ring"
	"roost/internal/pause"
	"roost/internal/position"
	"roost/internal/wirecodec"
)

// A hub can go on in another process on this host, with the same place in the stream. The old process calls HoldBroadcasts and
// Export, and then Commit, or LetBroadcasts if the other process fails; the new one calls Import and FinishImport on an empty
// hub, and then Join for each connection (Members).

// hubState is the version of what Export writes.
const hubState = 1

const (
	maxHubState = 1 << 31 // bytes of it; those of a frame are fewer
	maxName     = 1 << 16 // bytes, of a group's name or a type
)

// HoldBroadcasts waits until those that have begun were delivered to all their connections, and the loops have their
// time; no other begins until LetBroadcasts or Commit. New ones wait. The feed and the loops have to go on. The
// error says that ctx ended first; then nothing is held. One goroutine calls it, and the methods below.
func (h *Hub) HoldBroadcasts(ctx context.Context) error {
	q := &h.broadcasts
	q.hold()
	for !q.allEnded() {
		if !pause.For(ctx, time.Millisecond) {
			q.unhold()
			return fmt.Errorf("broadcasts that have begun do not end: %w", context.Cause(ctx))
		}
	}
	return nil
}

// LetBroadcasts goes on as if HoldBroadcasts had not been called.
func (h *Hub) LetBroadcasts() { h.broadcasts.unhold() }

// Commit ends a hub whose connections another process has: RunBroadcasts returns. That process delivers the broadcasts that
// wait; here they are not counted as dropped.
func (h *Hub) Commit() { h.broadcasts.leave() }

// Export writes down the place in the stream and what waits for broadcasts, which are held. Nothing may be delivered
// meanwhile. It calls send with pieces, one after the other, within the bounds of package wirecodec; the descriptors are the
// hub's. An error of send ends it. Counters stay here, and so do those who watch a user.
func (h *Hub) Export(send func(section []byte, descriptors []int) error) error {
	if !h.broadcasts.allEnded() {
		return errors.New("hub: Export while broadcasts are delivered")
	}
	dst := wirecodec.AppendUint(nil, hubState)
	dst = wirecodec.AppendUint(dst, h.groupNumber.Load())
	dst = h.appendQueue(dst)
	var descriptors []int
	s := h.stream
	if dst = wirecodec.AppendBool(dst, s != nil); s != nil {
		dst = s.append(dst)
		if s.descriptor != 0 {
			descriptors = append(descriptors, s.descriptor)
		}
	}
	return wirecodec.Send(dst, descriptors, send)
}

// appendQueue appends what waits for RunBroadcasts.
func (h *Hub) appendQueue(dst []byte) []byte {
	q := &h.broadcasts
	q.mu.Lock()
	defer q.mu.Unlock()
	var flows []fairqueue.Waiting[*broadcast]
	q.queue.Each(func(w fairqueue.Waiting[*broadcast]) { flows = append(flows, w) })
	clock := h.Clock()
	dst = wirecodec.AppendUint(dst, uint64(len(flows)))
	for _, w := range flows {
		dst = wirecodec.AppendString(dst, w.Flow)
		dst = appendTime(dst, w.Lost)
		dst = appendTime(dst, w.Told)
		dst = wirecodec.AppendUint(dst, uint64(len(w.Items)))
		for _, b := range w.Items {
			dst = b.append(dst, clock)
		}
	}
	return dst
}

// append appends the place in the stream, and the losses that connections have not been told of.
func (s *stream) append(dst []byte) []byte {
	s.order.mu.Lock()
	defer s.order.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	dst = wirecodec.AppendUint(dst, uint64(s.ordinal))
	var losses []*broadcast
	for _, list := range s.order.flows {
		for _, b := range list {
			if b.loss == LostBroadcast { // all others are in the queue
				losses = append(losses, b)
			}
		}
	}
	dst = wirecodec.AppendUint(dst, uint64(len(losses)))
	for _, b := range losses {
		dst = wirecodec.AppendString(dst, b.group)
		dst = b.append(dst, 0)
	}
	return s.ring.AppendState(dst)
}

// append appends a broadcast that has not begun, without its group. clock is the hub's now.
func (b *broadcast) append(dst []byte, clock time.Duration) []byte {
	dst = wirecodec.AppendUint(dst, b.number)
	dst = appendTime(dst, b.lost)
	dst = appendTime(dst, b.since)
	dst = wirecodec.AppendUint(dst, uint64(b.loss))
	dst = wirecodec.AppendUint(dst, uint64(b.from))
	dst = wirecodec.AppendUint(dst, uint64(b.ordinal))
	dst = appendPosition(dst, b.before)
	dst = appendPosition(dst, b.position)
	dst = wirecodec.AppendBytes(dst, b.frame)
	dst = wirecodec.AppendString(dst, b.kind)
	dst = wirecodec.AppendUint(dst, uint64(b.size))
	dst = wirecodec.AppendInt(dst, int64(max(0, clock-b.taken)))
	dst = wirecodec.AppendInt(dst, b.after)
	return b.options.append(dst)
}

// readBroadcast reads what append wrote.
func readBroadcast(r *wirecodec.Reader, group string, clock time.Duration) *broadcast {
	b := &broadcast{group: group, number: r.Uint(1<<64 - 1), lost: readTime(r), since: readTime(r), loss: Loss(r.Uint(uint64(LostFeed)))}
	b.from, b.ordinal = uint32(r.Uint(1<<32-1)), uint32(r.Uint(1<<32-1))
	b.before, b.position = readPosition(r), readPosition(r)
	if frame := r.Bytes(maxHubState); len(frame) > 0 {
		b.frame = slices.Clone(frame)
	}
	b.kind, b.size = r.String(maxName), int32(r.Uint(1<<31-1))
	b.taken = clock - time.Duration(r.Int(0, 1<<62))
	b.after = r.Int(0, 1<<62)
	b.options = readOptions(r)
	if (b.frame == nil) != (b.loss != NotLost) {
		r.Fail(errors.New("a broadcast without a frame, or a loss with one"))
	}
	return b
}

// appendTime appends a time of the wall clock, to the nanosecond.
func appendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return wirecodec.AppendInt(dst, 0)
	}
	return wirecodec.AppendInt(dst, t.UnixNano())
}

func readTime(r *wirecodec.Reader) time.Time {
	if ns := r.Int(-1<<62, 1<<62); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

func appendPosition(dst []byte, p position.Position) []byte {
	dst = wirecodec.AppendUint(dst, p.Marker)
	dst = wirecodec.AppendUint(dst, p.Count)
	return wirecodec.AppendUint(dst, uint64(p.Check))
}

func readPosition(r *wirecodec.Reader) position.Position {
	return position.Position{Marker: r.Uint(1<<64 - 1), Count: r.Uint(position.MaxCount), Check: uint32(r.Uint(1<<32 - 1))}
}

// Import copies a piece that Export wrote in another process. The descriptors are the hub's from now
// on, also after an error. Call it with all pieces in order, before anything is registered, and then FinishImport; from one
// goroutine.
func (h *Hub) Import(section []byte, descriptors []int) error {
	return h.imported.Add(section, descriptors, maxHubState)
}

// DiscardImport gives up what was imported by a hub that will not be used.
func (h *Hub) DiscardImport() {
	if h.cfg.Resume.Map == nil {
		return
	}
	for _, fd := range h.imported.Descriptors {
		if _, unmap, err := h.cfg.Resume.Map(fd); err == nil {
			unmap()
		}
	}
	h.imported = wirecodec.Pieces{}
}

// FinishImport reads the imported pieces. The error says what is wrong with them, or which setting of this hub differs.
// Broadcasts wait for RunBroadcasts, and positions are what they were in the other process.
func (h *Hub) FinishImport() error {
	r := wirecodec.NewReader(h.imported.State)
	if version := r.Uint(1 << 32); r.Err() == nil && version != hubState {
		return fmt.Errorf("the hub's state has version %d, this release reads %d", version, hubState)
	}
	h.groupNumber.Store(r.Uint(1<<64 - 1))
	flows := h.readQueue(r)
	resumes := r.Bool()
	if r.Err() == nil && resumes != h.Resumes() {
		return errors.New("clients can resume in one of the two processes only (WS_RESUME_WINDOW)")
	}
	if resumes {
		if err := h.restoreStream(r, flows); err != nil {
			return fmt.Errorf("the hub's state: %w", err)
		}
	}
	if err := r.Done(); err != nil {
		return fmt.Errorf("the hub's state: %w", err)
	}
	h.imported = wirecodec.Pieces{}
	h.restoreQueue(flows)
	return nil
}

func (h *Hub) readQueue(r *wirecodec.Reader) (flows []fairqueue.Waiting[*broadcast]) {
	clock := h.Clock()
	for range r.Count(4) {
		w := fairqueue.Waiting[*broadcast]{Flow: r.String(maxName), Lost: readTime(r), Told: readTime(r)}
		for range r.Count(18) {
			w.Items = append(w.Items, readBroadcast(r, w.Flow, clock))
		}
		flows = append(flows, w)
	}
	return flows
}

// restoreQueue puts what waited there on the queue. With lower limits than there the oldest are dropped.
func (h *Hub) restoreQueue(flows []fairqueue.Waiting[*broadcast]) {
	if h.stream != nil {
		h.stream.order.mu.Lock()
		defer h.stream.order.mu.Unlock()
	}
	for _, w := range flows {
		for _, b := range w.Items {
			h.put(b, b.since)
		}
		h.broadcasts.lose(w)
	}
}

// lose notes the loss that a flow has to tell, and when it told the last one.
func (q *broadcastQueue) lose(w fairqueue.Waiting[*broadcast]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue.Lose(w.Flow, w.Lost, w.Told, time.Now())
}

// restoreStream reads what stream.append wrote, and puts what waits into the order.
func (h *Hub) restoreStream(r *wirecodec.Reader, flows []fairqueue.Waiting[*broadcast]) error {
	s := h.stream
	ordinal := uint32(r.Uint(1<<32 - 1))
	var waiting []*broadcast
	for _, w := range flows {
		waiting = append(waiting, w.Items...)
	}
	for range r.Count(19) {
		group := r.String(maxName)
		waiting = append(waiting, readBroadcast(r, group, 0))
	}
	if r.Err() != nil {
		return r.Err()
	}
	slices.SortStableFunc(waiting, func(a, b *broadcast) int { return cmp.Compare(int32(a.from-b.from), 0) })
	s.order.mu.Lock()
	defer s.order.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ordinal = ordinal
	for _, b := range waiting {
		s.order.add(b)
	}
	return s.restoreRing(r, h)
}

// restoreRing goes on with the other process's memory, or, where this one's has another size, copies what is in it. Where the
// other process could not leave its memory to this one, nobody can resume from a position of before. The caller holds mu.
func (s *stream) restoreRing(r *wirecodec.Reader, h *Hub) error {
	cfg := h.cfg.Resume
	descriptors := h.imported.Descriptors
	if len(descriptors) > 1 {
		return errors.New("more than one descriptor")
	}
	if len(descriptors) == 0 || cfg.Map == nil {
		ring.SkipState(r)
		return r.Err()
	}
	h.imported.Descriptors = nil
	memory, unmap, err := cfg.Map(descriptors[0])
	if err != nil {
		return fmt.Errorf("the memory of what was heard: %w", err)
	}
	theirs := ring.Restore(r, memory, cfg.Window)
	if theirs == nil {
		unmap()
		return r.Err()
	}
	if len(memory) == len(cfg.Memory) {
		s.ring, s.descriptor = theirs, descriptors[0]
		return nil
	}
	s.ring.TakeFrom(theirs)
	unmap()
	return nil
}
