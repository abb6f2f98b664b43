package redispub

import (
	"errors"
	"fmt"
	"math/rand/v2"
)

// Pattern says for whom notifications are.
type Pattern struct {
	First, Users int     // the users that are here: First to First+Users-1
	Absent       float64 // share of notifications for users who are not here, 0 to 1
	Burst        int     // notifications in a row for the same user; 0 is 1
	Stalled      int     // the first so many users don't read ...
	StalledShare float64 // ... and get this share
	InTurn       bool    // users get one after the other, again and again, instead of by lot
}

// absentUsers is among how many users who are not here the choice is.
const absentUsers = 100_000

func (p Pattern) validate() error {
	if p.Users < 1 || p.Stalled < 0 || p.Stalled >= p.Users && p.Users > 1 {
		return fmt.Errorf("%d users of whom %d stall: somebody has to read", p.Users, p.Stalled)
	}
	if p.Absent < 0 || p.Absent > 1 || p.StalledShare < 0 || p.Absent+p.StalledShare > 1 {
		return fmt.Errorf("shares of %v and %v: from 0 to 1 in all", p.Absent, p.StalledShare)
	}
	if p.InTurn && p.Absent+p.StalledShare > 0 {
		return errTurns
	}
	return nil
}

// errTurns refuses a mixture.
var errTurns = errors.New("users who take turns are all here and all read")

// present says whether a user is here.
func (p Pattern) present(user int) bool { return user >= p.First && user < p.First+p.Users }

// reads says whether a user is here and reads.
func (p Pattern) reads(user int) bool { return user >= p.First+p.Stalled && user < p.First+p.Users }

// picker draws users by a pattern. All that read get about the same, in an order
// that no cache can foresee.
type picker struct {
	pattern Pattern
	random  *rand.Rand
	turn    int // whose turn it is, where they take turns
}

func newPicker(p Pattern) *picker {
	return &picker{pattern: p, random: rand.New(rand.NewPCG(0x726f6f7374, 1))} // the same each time
}

func (k *picker) next() int {
	p := k.pattern
	if p.InTurn {
		user := p.First + k.turn
		k.turn = (k.turn + 1) % p.Users
		return user
	}
	draw := 0.0
	if p.Absent+p.StalledShare > 0 {
		draw = k.random.Float64()
	}
	switch {
	case draw < p.Absent:
		return p.First + p.Users + k.random.IntN(absentUsers)
	case draw < p.Absent+p.StalledShare:
		return p.First + k.random.IntN(p.Stalled)
	}
	return p.First + p.Stalled + k.random.IntN(p.Users-p.Stalled)
}
