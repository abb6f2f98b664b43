package netpoll

import "math/bits"

// ledger says who holds how much of something that is shared, so that when it runs
// short those pay who hold most. What connections hold is summed up by their sources;
// entering, changing and leaving take the same few pointer writes whatever the number
// of either. It belongs to its loop. The zero value is empty.
type ledger struct {
	accounts map[source]*account
	ranks    [maxRank]accountList // of accounts, by the number of bits of what they hold
	taken    uint32               // the ranks that are not empty, a bit for each
	spare    *account             // a list of empty ones, keptAccounts at most
	spares   int
	most     int // accounts that the map has had since it was made
	held     int // by all together
}

const (
	maxRank = 32
	// keptAccounts bounds the room for accounts that is kept when they have gone.
	keptAccounts = 256
)

// account is what one source holds.
type account struct {
	source      source
	held        int
	first, last *entry   // what its connections hold, the one that came first before the others
	next, prev  *account // of the same rank
}

type accountList struct{ first, last *account }

// entry is a connection's place in a ledger. The zero value is in none.
type entry struct {
	c          *conn
	account    *account // nil while in no ledger
	held       int32
	next, prev *entry // of the same source
}

// set says how much an entry holds, which it has to be in the ledger for. That may be
// nothing: its place among those of its source stays.
func (l *ledger) set(e *entry, held int) {
	l.change(e.account, held-int(e.held))
	e.held = int32(held)
}

// add enters what c holds, behind what others of its source do.
func (l *ledger) add(e *entry, c *conn, of source, held int) {
	a := l.accountOf(of)
	*e = entry{c: c, account: a, held: int32(held), prev: a.last}
	if a.last == nil {
		a.first = e
	} else {
		a.last.next = e
	}
	a.last = e
	l.change(a, held)
}

// remove takes an entry out; one that is in no ledger does no harm.
func (l *ledger) remove(e *entry) {
	a := e.account
	if a == nil {
		return
	}
	l.change(a, -int(e.held))
	if e.prev == nil {
		a.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		a.last = e.prev
	} else {
		e.next.prev = e.prev
	}
	*e = entry{}
	if a.first == nil {
		l.close(a)
	}
}

// greediest returns the oldest entry of a source that holds most, to a factor of two;
// of such sources that which has come to hold so much first. Nil if nobody holds
// anything.
func (l *ledger) greediest() *entry {
	rank := l.topRank()
	if rank == 0 {
		return nil
	}
	return l.ranks[rank].first.first
}

// topRank is the rank of the account that holds most; 0: none holds anything.
func (l *ledger) topRank() int { return max(0, bits.Len32(l.taken)-1) }

// change changes what an account holds, and its rank with it.
func (l *ledger) change(a *account, by int) {
	before := rankOf(a.held)
	a.held += by
	l.held += by
	if after := rankOf(a.held); after != before {
		l.leaveRank(before, a)
		l.joinRank(after, a)
	}
}

// rankOf is the rank of who holds so much.
func rankOf(held int) int { return bits.Len(uint(held)) }

// accountOf returns the account of a source, which is made where there is none.
func (l *ledger) accountOf(of source) *account {
	if a := l.accounts[of]; a != nil {
		return a
	}
	if l.accounts == nil {
		l.accounts = make(map[source]*account)
	}
	a := l.spare
	if a == nil {
		a = new(account)
	} else {
		l.spare, a.next = a.next, nil
		l.spares--
	}
	a.source = of
	l.accounts[of] = a
	l.most = max(l.most, len(l.accounts))
	l.joinRank(0, a)
	return a
}

func (l *ledger) joinRank(rank int, a *account) {
	l.ranks[rank].append(a)
	l.taken |= 1 << rank
}

func (l *ledger) leaveRank(rank int, a *account) {
	l.ranks[rank].remove(a)
	if l.ranks[rank].first == nil {
		l.taken &^= 1 << rank
	}
}

// close takes out an account that holds nothing any more.
func (l *ledger) close(a *account) {
	l.leaveRank(0, a)
	delete(l.accounts, a.source)
	if l.spares < keptAccounts {
		*a = account{next: l.spare}
		l.spare = a
		l.spares++
	}
	// A map keeps the size that it once had: after a flood those who are left get a
	// new one.
	if l.most > keptAccounts && len(l.accounts) <= l.most/4 {
		left := make(map[source]*account, len(l.accounts))
		for of, a := range l.accounts {
			left[of] = a
		}
		l.accounts, l.most = left, len(left)
	}
}

func (l *accountList) append(a *account) {
	a.prev, a.next = l.last, nil
	if l.last == nil {
		l.first = a
	} else {
		l.last.next = a
	}
	l.last = a
}

func (l *accountList) remove(a *account) {
	if a.prev == nil {
		l.first = a.next
	} else {
		a.prev.next = a.next
	}
	if a.next == nil {
		l.last = a.prev
	} else {
		a.next.prev = a.prev
	}
	a.next, a.prev = nil, nil
}
