package harm

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// tally counts what came, in words. Any goroutine may use it.
type tally struct {
	mu     sync.Mutex
	counts map[string]int // guarded by mu
	worse  int            // of them, those that must not come; guarded by mu
}

// count counts what may come.
func (t *tally) count(words string) { t.add(words, 0) }

// blame counts what must not come.
func (t *tally) blame(words string) { t.add(words, 1) }

func (t *tally) add(words string, worse int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]int{}
	}
	t.counts[words]++
	t.worse += worse
}

// bad says whether anything came that must not, or nothing at all.
func (t *tally) bad() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.worse > 0 || len(t.counts) == 0
}

// manyWords is how many different things are told.
const manyWords = 4

// String tells what came, the most frequent first.
func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	words := slices.SortedFunc(maps.Keys(t.counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.counts[b], t.counts[a]), strings.Compare(a, b))
	})
	var all []string
	for _, w := range words[:min(len(words), manyWords)] {
		all = append(all, fmt.Sprintf("%d × %s", t.counts[w], w))
	}
	if len(words) > manyWords {
		all = append(all, fmt.Sprintf("and %d other things", len(words)-manyWords))
	}
	return strings.Join(all, ", ")
}
