package soak

import (
	"fmt"
	"slices"
	"time"

	"roost/cmd/roost/internal/roosttest"
)

// state is what Redis said to a PUBLISH.
type state uint8

const (
	heard   state = iota // a subscriber: the server's feed
	unheard              // no subscriber, or there was no Redis to say it to
	unsure               // the connection broke before the reply came
)

// publication is one notification for a user. Its index in the user's ledger is its sequence number.
type publication struct {
	state         state
	epoch         int       // how often Redis had been killed or had cut its subscribers
	sent, replied time.Time // when it was written, and the reply read
}

// cut is a moment in which Redis lost what it had not written to its subscribers: from just before the signal, until
// it had taken effect.
type cut struct{ from, to time.Time }

// record is what a connection got.
type record struct {
	sequence []int // the numbers of the user's notifications
	gaps     []roosttest.Gap
}

// knows reports whether the connection was told, after p was published, that it may be missing.
func (r record) knows(p publication) bool {
	return slices.ContainsFunc(r.gaps, func(g roosttest.Gap) bool { return g.Covers(p.sent, p.replied) })
}

// outcome counts what became of the publications for a user.
type outcome struct {
	arrived    int // at each connection of the user
	deliveries int // the same, counted for each connection
	unheard    int // Redis said so, and nobody got them
	unsure     int // no reply, and nobody got them
	lost       int // on the way when Redis was cut: nobody got them, and everybody was told
	faults     []string
}

func (o *outcome) fault(format string, args ...any) {
	o.faults = append(o.faults, fmt.Sprintf(format, args...))
}

func (o *outcome) add(more outcome) {
	o.arrived += more.arrived
	o.deliveries += more.deliveries
	o.unheard += more.unheard
	o.unsure += more.unsure
	o.lost += more.lost
	o.faults = append(o.faults, more.faults...)
}

// judge compares what was published for a user with what each of the user's connections got. All connections were open from
// before the first publication until after the last, so a notification reaches all of them or, if Redis dropped it, none.
func judge(user string, all []publication, cuts []cut, connections []record) outcome {
	var o outcome
	got := make([]int, len(all)) // connections that got each
	for i, r := range connections {
		o.checkOrder(fmt.Sprintf("%s, connection %d", user, i), r.sequence, got)
	}
	untold := func(p publication) bool {
		return slices.ContainsFunc(connections, func(r record) bool { return !r.knows(p) })
	}
	for seq, p := range all {
		switch n := got[seq]; {
		case p.state == unheard && n > 0:
			o.fault("%s: %d came, although Redis said that nobody heard it", user, seq)
		case p.state == unheard:
			o.unheard++
		case n == len(connections):
			o.arrived++
			o.deliveries += n
		case n > 0:
			o.fault("%s: %d reached %d of %d connections", user, seq, n, len(connections))
		case p.state == unsure:
			o.unsure++
		case !cutOff(all, got, seq, cuts):
			o.fault("%s: %d is lost, in epoch %d", user, seq, p.epoch)
		case untold(p):
			o.fault("%s: %d is lost, in epoch %d, and not everybody was told", user, seq, p.epoch)
		default:
			o.lost++
		}
	}
	return o
}

// checkOrder wants numbers that rise, and counts them in got.
func (o *outcome) checkOrder(who string, sequence, got []int) {
	last := -1
	for _, seq := range sequence {
		switch {
		case seq < 0 || seq >= len(got):
			o.fault("%s: got %d, which was never published", who, seq)
			continue
		case seq <= last:
			o.fault("%s: %d came after %d: twice, or out of order", who, seq, last)
		default:
			got[seq]++
		}
		last = max(last, seq)
	}
}

// cutOff reports whether a cut can be why a notification came nowhere: one followed, and nothing came of what Redis had
// carried between the two. A cut takes the end of a stream, however long it is: where the server gets no processor, much is on
// the way to it.
func cutOff(all []publication, got []int, seq int, cuts []cut) bool {
	next := slices.IndexFunc(cuts, func(c cut) bool { return all[seq].sent.Before(c.to) })
	if next < 0 {
		return false
	}
	for later := seq + 1; later < len(all) && all[later].replied.Before(cuts[next].from); later++ {
		if got[later] > 0 {
			return false
		}
	}
	return true
}
