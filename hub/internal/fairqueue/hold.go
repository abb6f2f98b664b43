package fairqueue

import "time"

// A queue can go on in another process: items that have begun end in this one (Hold), waiting ones are written down (Each) and put into
// the other's queue (Put, Lose).

// Hold gives turns only to flows whose item, or notice, is under way already. New items wait.
func (q *Queue[T]) Hold() { q.holding = true }

// Unhold ends Hold. The flows go on, those that were quiet behind those that were not.
func (q *Queue[T]) Unhold() {
	q.holding = false
	for f := q.held.RemoveFirst(); f != nil; f = q.held.RemoveFirst() {
		q.classes[f.class(classOld)].Append(&f.turn, f)
	}
}

// Begun is how many items and notices are under way.
func (q *Queue[T]) Begun() int { return q.begun }

// next takes the first flow of a class that may have a turn.
func (q *Queue[T]) next(class int) *flow[T] {
	for {
		f := q.classes[class].RemoveFirst()
		if f == nil || !q.holding || f.busy {
			return f
		}
		q.held.Append(&f.turn, f)
	}
}

// Waiting is what waits in one flow.
type Waiting[T any] struct {
	Flow  string
	Items []T       // the oldest first
	Lost  time.Time // since when items were dropped that no notice tells of; zero: none were
	Told  time.Time // the last notice; zero: none
}

// Each calls fn for each flow that has something to deliver or to tell. Nothing may be under way.
func (q *Queue[T]) Each(fn func(Waiting[T])) {
	for name, f := range q.flows.All() {
		w := Waiting[T]{Flow: name, Lost: f.lost, Told: f.told}
		for _, e := range f.waiting.entries[f.waiting.first:] {
			w.Items = append(w.Items, e.item)
		}
		if len(w.Items) > 0 || !w.Lost.IsZero() {
			fn(w)
		}
	}
}

// Lose notes for a flow what Waiting says of losses.
func (q *Queue[T]) Lose(name string, lost, told, now time.Time) {
	if q.cfg.Notice == nil || lost.IsZero() && told.IsZero() {
		return
	}
	f := q.flow(name)
	if !lost.IsZero() {
		f.lose(lost)
	}
	f.told = told
	q.maybeIdle(f, now)
}
