package presence

import "time"

// rounds says when it is the turn of which part: each has one a period, evenly spread. It is a plain value: time is an
// argument.
type rounds struct {
	start time.Time
	step  time.Duration // from one turn to the next
	parts int
	taken int // turns, since the start
}

func newRounds(start time.Time, period time.Duration, parts int) rounds {
	return rounds{start: start, step: period / time.Duration(parts), parts: parts}
}

// next takes the turn that has come, or says how long it is until one does. A caller that is late gets the turns that were
// missed, each part's once, one after the other; turns after these come at their times again.
func (r *rounds) next(now time.Time) (part int, early time.Duration) {
	come := int(now.Sub(r.start) / r.step)
	r.taken = max(r.taken, come-r.parts)
	if r.taken >= come {
		return 0, r.start.Add(time.Duration(r.taken+1) * r.step).Sub(now)
	}
	part = r.taken % r.parts
	r.taken++
	return part, 0
}
