package ledger

import (
	"math/bits"
	"math/rand/v2"
	"testing"

	"roost/internal/shrinkmap"
	"roost/netpoll/internal/iplimit"
)

type conn struct{ _ int }

// The ledger agrees with a model that is as simple as it is slow.
func TestLedgerAgainstAModel(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var l Ledger[conn]
	type holding struct {
		e     *Entry[conn]
		owner *conn
		of    iplimit.Source
		held  int
	}
	var all []holding // in the order in which they came
	for step := range 20_000 {
		switch n := r.IntN(10); {
		case n < 4 || len(all) == 0:
			h := holding{new(Entry[conn]), new(conn), iplimit.Source(r.IntN(20) * r.IntN(20)), r.IntN(100)}
			l.Add(h.e, h.owner, h.of, h.held)
			all = append(all, h)
		case n < 6:
			i := r.IntN(len(all))
			all[i].held = r.IntN(20_000)
			l.Set(all[i].e, all[i].held)
		default:
			i := r.IntN(len(all))
			l.Remove(all[i].e)
			l.Remove(all[i].e) // once more does no harm
			if all[i].e.In() {
				t.Fatalf("step %d: a removed entry is in the ledger", step)
			}
			all = append(all[:i], all[i+1:]...)
		}
		sums, total := map[iplimit.Source]int{}, 0
		for _, h := range all {
			sums[h.of] += h.held
			total += h.held
		}
		most := 0
		for _, sum := range sums {
			most = max(most, bits.Len(uint(sum)))
		}
		if l.Held() != total || l.accounts.Len() != len(sums) {
			t.Fatalf("step %d: %d held by %d sources, want %d by %d", step, l.Held(), l.accounts.Len(), total, len(sums))
		}
		if len(all) > 0 {
			h := all[r.IntN(len(all))]
			if h.e.Owner() != h.owner || h.e.Held() != h.held || !h.e.In() || h.e.Source() != h.of {
				t.Fatalf("step %d: an entry of %d with %d says %d and %d", step, h.of, h.held, h.e.Source(), h.e.Held())
			}
		}
		e := l.Greediest()
		if most == 0 {
			if e != nil {
				t.Fatalf("step %d: a greediest where nobody holds anything", step)
			}
			continue
		}
		if got := bits.Len(uint(sums[e.account.source])); got != most {
			t.Fatalf("step %d: the greediest holds %d bits, want %d", step, got, most)
		}
		for _, h := range all {
			if h.of == e.account.source {
				if h.e != e {
					t.Fatalf("step %d: it is not the oldest of its source", step)
				}
				break
			}
		}
	}
}

// After a flood of sources the memory goes.
func TestLedgerGivesMemoryBack(t *testing.T) {
	t.Parallel()
	var l Ledger[conn]
	entries := make([]Entry[conn], 10_000)
	for i := range entries {
		l.Add(&entries[i], nil, iplimit.Source(i), 2)
	}
	for i := range entries[1:] {
		l.Remove(&entries[1+i])
	}
	if l.accounts.Room() > shrinkmap.Kept || l.accounts.Len() != 1 || l.spare.Len() > keptAccounts || l.Greediest() != &entries[0] {
		t.Errorf("room for %d accounts and %d spare ones, of which %d are in use", l.accounts.Room(), l.spare.Len(), l.accounts.Len())
	}
}

func BenchmarkLedger(b *testing.B) {
	var l Ledger[conn]
	var e Entry[conn]
	c := new(conn)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Add(&e, c, iplimit.Source(i), 2)
		l.Remove(&e)
	}
}
