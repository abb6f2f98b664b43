// Package ledger keeps how much of a shared thing each source holds, so that when it
// runs short the sources that hold most pay.
package ledger

import (
	"math/bits"

	"roost/internal/list"
	"roost/internal/shrinkmap"
	"roost/netpoll/internal/iplimit"
)

// Ledger is what the sources hold. The amounts of their entries are summed up; entering,
// changing and leaving take the same few pointer writes whatever the number of either.
// It belongs to one goroutine at a time. The zero value is empty.
type Ledger[T any] struct {
	accounts shrinkmap.Map[iplimit.Source, *account[T]]
	ranks    [MaxRank]list.List[account[T]] // accounts by the number of bits of what they hold
	taken    uint32                         // the ranks that are not empty, a bit for each
	spare    list.List[account[T]]          // empty ones for reuse, keptAccounts at most
	held     int                            // by all together
}

const (
	// MaxRank is above the rank of whatever anybody holds, see RankOf.
	MaxRank = 32

	// keptAccounts bounds the accounts that are kept when they have gone.
	keptAccounts = 256
)

// account is what one source holds.
type account[T any] struct {
	source  iplimit.Source
	held    int
	entries list.List[Entry[T]]   // what its connections hold, the one that came first before the others
	node    list.Node[account[T]] // in a rank, or in spare
}

// Entry is a connection's place in a ledger. The zero value is in none.
type Entry[T any] struct {
	owner   *T
	account *account[T] // nil while in no ledger
	held    int32
	node    list.Node[Entry[T]] // among those of its source
}

// Set sets how much an entry holds, which has to be in the ledger. If that is nothing it
// keeps its place among those of its source.
func (l *Ledger[T]) Set(e *Entry[T], held int) {
	l.change(e.account, held-int(e.held))
	e.held = int32(held)
}

// Add adds an entry for owner, behind the others of its source.
func (l *Ledger[T]) Add(e *Entry[T], owner *T, of iplimit.Source, held int) {
	a := l.accountOf(of)
	*e = Entry[T]{owner: owner, account: a, held: int32(held)}
	a.entries.Append(&e.node, e)
	l.change(a, held)
}

// Remove takes an entry out; one that is in no ledger does no harm.
func (l *Ledger[T]) Remove(e *Entry[T]) {
	a := e.account
	if a == nil {
		return
	}
	l.change(a, -int(e.held))
	e.node.Remove()
	*e = Entry[T]{}
	if a.entries.Len() == 0 {
		l.close(a)
	}
}

// Greediest returns the oldest entry of a source that holds most, to a factor of two;
// of such sources that which has come to hold so much first. Nil if nobody holds
// anything.
func (l *Ledger[T]) Greediest() *Entry[T] {
	rank := l.TopRank()
	if rank == 0 {
		return nil
	}
	return l.ranks[rank].First().entries.First()
}

// TopRank is the rank of the account that holds most; 0: none holds anything.
func (l *Ledger[T]) TopRank() int { return max(0, bits.Len32(l.taken)-1) }

// Held returns what all hold together.
func (l *Ledger[T]) Held() int { return l.held }

// Owner returns whose entry it is, Held what it holds, In whether it is in a ledger, and
// Source for whom; only one that is in a ledger has a source.
func (e *Entry[T]) Owner() *T              { return e.owner }
func (e *Entry[T]) Held() int              { return int(e.held) }
func (e *Entry[T]) In() bool               { return e.account != nil }
func (e *Entry[T]) Source() iplimit.Source { return e.account.source }

// change changes what an account holds, and its rank with it.
func (l *Ledger[T]) change(a *account[T], by int) {
	before := RankOf(a.held)
	a.held += by
	l.held += by
	if after := RankOf(a.held); after != before {
		l.leaveRank(before, a)
		l.joinRank(after, a)
	}
}

// RankOf is the rank of a source that holds so much.
func RankOf(held int) int { return bits.Len(uint(held)) }

// accountOf returns the account of a source, and makes it if there is none.
func (l *Ledger[T]) accountOf(of iplimit.Source) *account[T] {
	if a := l.accounts.Get(of); a != nil {
		return a
	}
	a := l.spare.RemoveFirst()
	if a == nil {
		a = new(account[T])
	}
	a.source = of
	l.accounts.Put(of, a)
	l.joinRank(0, a)
	return a
}

func (l *Ledger[T]) joinRank(rank int, a *account[T]) {
	l.ranks[rank].Append(&a.node, a)
	l.taken |= 1 << rank
}

func (l *Ledger[T]) leaveRank(rank int, a *account[T]) {
	a.node.Remove()
	if l.ranks[rank].Len() == 0 {
		l.taken &^= 1 << rank
	}
}

// close takes out an account that holds nothing any more.
func (l *Ledger[T]) close(a *account[T]) {
	l.leaveRank(0, a)
	l.accounts.Delete(a.source)
	if l.spare.Len() < keptAccounts {
		l.spare.Append(&a.node, a) // it holds nothing, and is in no rank
	}
}
