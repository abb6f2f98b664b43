package soak

import (
	"fmt"
	"slices"
	"time"
)

// state is what Redis said to a PUBLISH.
type state uint8

const (
	heard   state = iota // one subscriber or more: the server's feed
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

// inFlight is how long before a cut Redis may have counted a receiver without having written to it. Both happen in one
// turn of its event loop.
const inFlight = 250 * time.Millisecond

// covers reports whether Redis may have been cut before what was published between two moments left it.
func (c cut) covers(sent, replied time.Time) bool {
	return replied.After(c.from.Add(-inFlight)) && sent.Before(c.to.Add(inFlight))
}

// outcome counts what became of the publications for a user.
type outcome struct {
	arrived    int // at each connection of the user
	deliveries int // the same, counted for each connection
	unheard    int // Redis said so, and nobody got them
	unsure     int // no reply, and nobody got them
	lost       int // in flight when Redis was cut, and nobody got them
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

// judge compares what was published for a user with the sequence numbers that each of the user's connections got. All
// connections were open from before the first publication until after the last, so a notification reaches all of them
// or, if Redis dropped it, none.
func judge(user string, all []publication, cuts []cut, connections [][]int) outcome {
	var o outcome
	got := make([]int, len(all)) // connections that got each
	for i, sequence := range connections {
		o.checkOrder(fmt.Sprintf("%s, connection %d", user, i), sequence, got)
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
		case covered(cuts, p):
			o.lost++
		default:
			o.fault("%s: %d is lost, in epoch %d", user, seq, p.epoch)
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

func covered(cuts []cut, p publication) bool {
	return slices.ContainsFunc(cuts, func(c cut) bool { return c.covers(p.sent, p.replied) })
}
