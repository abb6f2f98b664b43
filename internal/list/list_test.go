package list

import (
	"math/rand/v2"
	"slices"
	"testing"
)

type element struct {
	name int
	node Node[element]
}

// names walks the list in both directions.
func names(t *testing.T, l *List[element]) (all []int) {
	t.Helper()
	for e := l.First(); e != nil; e = e.node.Next() {
		all = append(all, e.name)
	}
	var back []int
	for e := l.Last(); e != nil; e = e.node.prev.get() {
		back = append(back, e.name)
	}
	slices.Reverse(back)
	if !slices.Equal(all, back) {
		t.Fatalf("forwards %v, backwards %v", all, back)
	}
	return all
}

// The list agrees with a slice, whatever is added and removed, and wherever.
func TestListAgainstASlice(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var l List[element]
	var model []*element
	for step := range 20_000 {
		switch n := r.IntN(10); {
		case n < 5-len(model)/20 || len(model) == 0:
			e := &element{name: step}
			l.Append(&e.node, e)
			model = append(model, e)
		case n < 7:
			i := r.IntN(len(model))
			e := model[i]
			if !e.node.In(&l) || !e.node.InAny() {
				t.Fatalf("step %d: an element of the list is in none", step)
			}
			e.node.Remove()
			e.node.Remove() // once more does no harm
			model = slices.Delete(model, i, i+1)
			if e.node != (Node[element]{}) || e.node.In(&l) || e.node.InAny() {
				t.Fatalf("step %d: the node of a removed element: %+v", step, e.node)
			}
		case n < 9:
			if e := l.RemoveFirst(); e != model[0] {
				t.Fatalf("step %d: the first was %d, want %d", step, e.name, model[0].name)
			}
			model = model[1:]
		default: // one that was removed can be added again
			e := model[0]
			e.node.Remove()
			l.Append(&e.node, e)
			model = append(model[1:], e)
		}
		want := make([]int, 0, len(model))
		for _, e := range model {
			want = append(want, e.name)
		}
		if got := names(t, &l); !slices.Equal(got, want) || l.Len() != len(want) {
			t.Fatalf("step %d: %v with length %d, want %v", step, got, l.Len(), want)
		}
	}
}

func TestEmptyList(t *testing.T) {
	t.Parallel()
	var l List[element]
	if l.First() != nil || l.Last() != nil || l.RemoveFirst() != nil || l.Len() != 0 {
		t.Errorf("an empty list has elements: %v, %v, %d", l.First(), l.Last(), l.Len())
	}
}

func TestNothingIsAllocated(t *testing.T) {
	var l List[element]
	var a, b element
	if n := testing.AllocsPerRun(100, func() {
		l.Append(&a.node, &a)
		l.Append(&b.node, &b)
		a.node.Remove()
		l.RemoveFirst()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkList(b *testing.B) {
	var l List[element]
	var first, e element
	l.Append(&first.node, &first)
	for b.Loop() {
		l.Append(&e.node, &e)
		e.node.Remove()
	}
}
