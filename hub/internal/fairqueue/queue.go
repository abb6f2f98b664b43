// Package fairqueue is the order in which what waits for many receivers gets its turn: a bounded queue for each group and
// one for everyone, served in turns, so that none of them can hold the others up or take their memory.
//
// It is a data structure and nothing else: no goroutine, no lock, no clock. The caller holds a lock around every call and
// says what time it is.
package fairqueue

import (
	"time"

	"roost/internal/list"
	"roost/internal/shrinkmap"
)

// Everyone is the name of the flow that is for all receivers. Its turns do not come from those of the groups: it does half
// of the work, or a third, however many groups there are.
const Everyone = ""

// Overhead is how many bytes an item is charged beyond its own size, for itself, its flow and their places in the queue.
const Overhead = 512

// Reason says why an item was dropped.
type Reason uint8

// The reasons for which an item is dropped.
const (
	FlowFull  Reason = iota // its flow had Config.Items or Config.FlowBytes waiting
	QueueFull               // all flows together had Config.Bytes, and its flow the most of them
)

// Config bounds a queue. All fields but Notice and NoticeEvery are required.
type Config[T any] struct {
	// Items and FlowBytes bound what waits in one flow. When there is one more, the oldest are dropped. A single item always
	// has room; one that is larger than FlowBytes is charged that much.
	Items, FlowBytes int

	// Bytes bounds all flows together, what is under way included. Beyond it the flow with the most bytes waiting loses its
	// oldest; of several such the one whose oldest came first.
	Bytes int

	// Quantum is how much work one class does before the next one's turns.
	Quantum int

	// Dropped is called for each item that is dropped.
	Dropped func(item T, why Reason)

	// Notice makes the item that tells the receivers of a flow that items were dropped which came at or after since. Nil:
	// nobody is told. A notice is given before the next item, but no sooner than NoticeEvery after the one before of the
	// flow, and no later than twice that. When very many groups have nothing but a notice to give, everyone is told.
	Notice      func(flow string, since time.Time) T
	NoticeEvery time.Duration
}

// Queue holds what waits, in one flow a group and one for everyone. A flow exists while it has something to do, and for
// NoticeEvery after it has given a notice: the memory depends on what waits, not on how many groups there are or were.
//
// Turns go round between three classes: everyone's flow, groups that have just got something (new flows), and groups that
// have had a turn and have more to do (old flows). Each class works as much as the others, and within a class the flows
// have one turn after the other. So a group that is quiet most of the time does not wait for those that always have more,
// and no number of quiet ones keeps the others from their turns.
type Queue[T any] struct {
	cfg     Config[T]
	flows   shrinkmap.Map[string, *flow[T]]
	fattest heap[T]
	classes [classCount]list.List[flow[T]] // flows in the order of their turns
	resting list.List[flow[T]]             // flows that have given a notice and have nothing to deliver now, in the order in which they began to rest
	class   int                            // whose turn it is
	credit  int                            // how much work it may do until the next one's
	current *flow[T]                       // whose turn it is, from Next to Done; nil: no flow's
	bytes   int                            // charged
	items   int                            // that wait or are under way, without notices
	begun   int                            // items and notices under way
	holding bool                           // nothing else begins
	held    list.List[flow[T]]             // with holding: flows that would have had a turn
	idle    int                            // flows that have nothing to deliver: they rest, or have a notice to give. Everyone's is not counted
}

// The classes that turns go round between.
const (
	classOld = iota // first, so that it is everyone's turn at the start
	classEveryone
	classNew
	classCount
)

// New returns an empty queue.
func New[T any](cfg Config[T]) *Queue[T] {
	return &Queue[T]{cfg: cfg}
}

// Limit changes Config.FlowBytes and Config.Bytes, for the items that come from now on.
func (q *Queue[T]) Limit(flowBytes, bytes int) { q.cfg.FlowBytes, q.cfg.Bytes = flowBytes, bytes }

// Put appends an item of size bytes to a flow, Everyone or the name of a group. No notice of its loss will say a later time
// than since. It may drop others, or this one where all that could make room for it is under way.
func (q *Queue[T]) Put(name string, item T, size int, since, now time.Time) {
	f := q.flow(name)
	charge := min(size, q.cfg.FlowBytes) + Overhead
	for f.waiting.len() > 0 && (f.waiting.len() >= q.cfg.Items || f.bytes+charge > q.cfg.FlowBytes+Overhead) {
		q.drop(f, FlowFull)
	}
	q.setIdle(f, false)
	if f.turn.In(&q.resting) {
		f.turn.Remove()
		q.classes[f.class(classNew)].Append(&f.turn, f)
	}
	f.waiting.push(entry[T]{item: item, charge: charge, since: since})
	f.bytes += charge
	q.bytes += charge
	q.items++
	q.fattest.fix(f)
	for q.bytes > q.cfg.Bytes && q.makeRoom(now) {
	}
}

// Next gives the next flow its turn, and returns its oldest item. The item is under way then, and can't be dropped any
// more. ok is false when there is nothing to do, at least not before Due. Each Next is followed by one Done.
func (q *Queue[T]) Next(now time.Time) (item T, ok bool) {
	for f := q.resting.First(); f != nil && !q.holding && now.Sub(f.rests) >= q.cfg.NoticeEvery; f = q.resting.First() {
		q.wake(f)
	}
	f := q.nextFlow()
	if f == nil {
		return item, false
	}
	q.current = f
	if !f.busy {
		q.begin(f, now)
	}
	return f.head.item, true
}

// nextFlow takes the flow whose turn it is out of its list; nil where there is none.
func (q *Queue[T]) nextFlow() *flow[T] {
	if q.credit > 0 {
		if f := q.next(q.class); f != nil {
			return f
		}
	}
	for range classCount {
		q.class, q.credit = (q.class+1)%classCount, q.cfg.Quantum
		if f := q.next(q.class); f != nil {
			return f
		}
	}
	return nil
}

// Done ends the turn. finished says that the item has reached all its receivers; else it goes on in the flow's next turn.
// work is how much of Config.Quantum the turn took, 1 at least.
func (q *Queue[T]) Done(finished bool, work int, now time.Time) {
	f := q.current
	q.current = nil
	q.credit -= max(1, work)
	if finished {
		q.bytes -= f.head.charge
		if !f.head.notice {
			q.items--
		}
		f.head, f.busy = entry[T]{}, false
		q.begun--
	}
	q.classes[f.class(classOld)].Append(&f.turn, f)
	q.maybeIdle(f, now)
}

// Due is when Next has something to do that it has not now, if nothing is put in before. ok is false for never.
func (q *Queue[T]) Due() (at time.Time, ok bool) {
	if q.resting.First() == nil || q.holding {
		return at, false
	}
	return q.resting.First().rests.Add(q.cfg.NoticeEvery), true
}

// Busy reports whether something can be done now.
func (q *Queue[T]) Busy() bool {
	if q.holding {
		return q.begun > 0
	}
	for i := range q.classes {
		if q.classes[i].Len() > 0 {
			return true
		}
	}
	return q.current != nil
}

// Flush has all notices given now that wait for their time.
func (q *Queue[T]) Flush() {
	for q.resting.First() != nil {
		q.wake(q.resting.First())
	}
}

// Lost is since when items of a flow were dropped that no notice tells of; zero: none were.
func (q *Queue[T]) Lost(name string) time.Time {
	if f := q.flows.Get(name); f != nil {
		return f.lost
	}
	return time.Time{}
}

// AppendWaiting appends what a flow has to do, the oldest first: the item, or the notice, that is under way, and the items that
// wait.
func (q *Queue[T]) AppendWaiting(dst []T, name string) []T {
	f := q.flows.Get(name)
	if f == nil {
		return dst
	}
	if f.busy {
		dst = append(dst, f.head.item)
	}
	return f.waiting.appendTo(dst)
}

// Len is how many items wait or are under way; notices are not among them.
func (q *Queue[T]) Len() int { return q.items }

// Bytes is how much they are charged, at most Config.Bytes.
func (q *Queue[T]) Bytes() int { return q.bytes }

// Flows is how many flows there are.
func (q *Queue[T]) Flows() int { return q.flows.Len() }

// begin takes what a flow does next: a notice that is due, or its oldest item.
func (q *Queue[T]) begin(f *flow[T], now time.Time) {
	q.setIdle(f, false)
	f.busy = true
	q.begun++
	if !f.lost.IsZero() && (f.waiting.len() == 0 || !q.toldLately(f, now)) {
		f.head = entry[T]{item: q.cfg.Notice(f.name, f.lost), notice: true}
		f.lost, f.told = time.Time{}, now
		return
	}
	f.head = f.waiting.pop()
	f.bytes -= f.head.charge
	q.fattest.fix(f)
}

// toldLately reports whether it is too early for another notice of a flow.
func (q *Queue[T]) toldLately(f *flow[T], now time.Time) bool {
	return now.Sub(f.told) < q.cfg.NoticeEvery
}

// makeRoom drops the oldest item of the flow that pays. It is false where nothing can be dropped.
func (q *Queue[T]) makeRoom(now time.Time) bool {
	f := q.fattest.top()
	if f == nil || f.waiting.len() == 0 {
		return false
	}
	q.drop(f, QueueFull)
	q.maybeIdle(f, now)
	return true
}

// drop drops the oldest item that waits in a flow.
func (q *Queue[T]) drop(f *flow[T], why Reason) {
	e := f.waiting.pop()
	f.bytes -= e.charge
	q.bytes -= e.charge
	q.items--
	q.fattest.fix(f)
	if q.cfg.Notice != nil {
		f.lose(e.since)
	}
	q.cfg.Dropped(e.item, why)
}

// maybeIdle is called for a flow that has lost an item in some way. If it was the last one the flow goes, unless it has to
// tell of a loss, now or when it has rested. Where too many have nothing but that to do, everyone is told instead.
func (q *Queue[T]) maybeIdle(f *flow[T], now time.Time) {
	rests := q.toldLately(f, now)
	switch {
	case f.busy || f.waiting.len() > 0:
	case f.lost.IsZero() && !rests:
		q.remove(f)
	case q.idle == maxIdle && f.name != Everyone:
		q.remove(f)
		if !f.lost.IsZero() {
			q.flow(Everyone).lose(f.lost)
		}
	default:
		q.setIdle(f, true)
		if rests {
			f.turn.Remove()
			q.resting.Append(&f.turn, f)
			f.rests = now
		}
	}
}

// wake ends the rest of a flow: it goes, or gives its notice.
func (q *Queue[T]) wake(f *flow[T]) {
	if f.lost.IsZero() {
		q.remove(f)
		return
	}
	f.turn.Remove()
	q.classes[f.class(classOld)].Append(&f.turn, f)
}

// setIdle notes whether a flow has nothing to deliver.
func (q *Queue[T]) setIdle(f *flow[T], idle bool) {
	if f.idle == idle || f.name == Everyone {
		return
	}
	if f.idle = idle; idle {
		q.idle++
	} else {
		q.idle--
	}
}

// flow finds or makes a flow.
func (q *Queue[T]) flow(name string) *flow[T] {
	if f := q.flows.Get(name); f != nil {
		return f
	}
	f := &flow[T]{name: name}
	q.flows.Put(name, f)
	q.classes[f.class(classNew)].Append(&f.turn, f)
	q.fattest.push(f)
	return f
}

// remove takes out a flow that has nothing to do.
func (q *Queue[T]) remove(f *flow[T]) {
	q.setIdle(f, false)
	f.turn.Remove()
	q.fattest.remove(f)
	q.flows.Delete(f.name)
}

// keptFlows bounds the room, in flows, that a heap keeps when nothing is to do.
const keptFlows = 256

// maxIdle bounds the flows that exist for a notice only, which no item pays for.
const maxIdle = 1024
