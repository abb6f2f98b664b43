package netpoll

import (
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// The ledger agrees with a model that is as simple as it is slow.
func TestLedgerAgainstAModel(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var l ledger
	type holding struct {
		e    *entry
		of   source
		held int
	}
	var all []holding // in the order in which they came
	for step := range 20_000 {
		switch n := r.IntN(10); {
		case n < 4 || len(all) == 0:
			h := holding{new(entry), source(r.IntN(20) * r.IntN(20)), r.IntN(100)}
			l.add(h.e, new(conn), h.of, h.held)
			all = append(all, h)
		case n < 6:
			i := r.IntN(len(all))
			all[i].held = r.IntN(20_000)
			l.set(all[i].e, all[i].held)
		default:
			i := r.IntN(len(all))
			l.remove(all[i].e)
			l.remove(all[i].e) // once more does no harm
			all = append(all[:i], all[i+1:]...)
		}
		sums, total := map[source]int{}, 0
		for _, h := range all {
			sums[h.of] += h.held
			total += h.held
		}
		most := 0
		for _, sum := range sums {
			most = max(most, bits.Len(uint(sum)))
		}
		if l.held != total || len(l.accounts) != len(sums) {
			t.Fatalf("step %d: %d held by %d sources, want %d by %d", step, l.held, len(l.accounts), total, len(sums))
		}
		e := l.greediest()
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
	var l ledger
	entries := make([]entry, 10_000)
	for i := range entries {
		l.add(&entries[i], nil, source(i), 2)
	}
	for i := range entries[1:] {
		l.remove(&entries[1+i])
	}
	if l.most > keptAccounts || len(l.accounts) != 1 || l.spares > keptAccounts || l.greediest() != &entries[0] {
		t.Errorf("room for %d accounts and %d spare ones, of which %d are in use", l.most, l.spares, len(l.accounts))
	}
}

func TestSourceOf(t *testing.T) {
	t.Parallel()
	same := [][2]string{
		{"192.0.2.1", "::ffff:192.0.2.1"}, {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9"}, {"fe80::1%eth0", "fe80::2"},
	}
	for _, pair := range same {
		if sourceOf(netip.MustParseAddr(pair[0])) != sourceOf(netip.MustParseAddr(pair[1])) {
			t.Errorf("%s and %s are not one source", pair[0], pair[1])
		}
	}
	different := []string{"192.0.2.1", "192.0.2.2", "2001:db8:1:2::1", "2001:db8:1:3::1", "::1", "0.0.0.0"}
	seen := map[source]string{}
	for _, address := range different {
		of := sourceOf(netip.MustParseAddr(address))
		if other, ok := seen[of]; ok {
			t.Errorf("%s and %s are one source", address, other)
		}
		seen[of] = address
	}
	if sourceOf(netip.Addr{}) != 0 {
		t.Error("no address is a source")
	}
}

func BenchmarkLedger(b *testing.B) {
	var l ledger
	var e entry
	c := new(conn)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.add(&e, c, source(i), 2)
		l.remove(&e)
	}
}
