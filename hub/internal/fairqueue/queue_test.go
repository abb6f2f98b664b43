package fairqueue

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/internal/shrinkmap"
)

// item is what the tests put in: a number of its flow, or a notice.
type item struct {
	flow   string
	number int
	since  int // of a notice: the number of the first item that it tells of; -1: no notice
}

// start is the time of the tests; what is put n-th comes n seconds later.
var start = time.Unix(1_700_000_000, 0)

func at(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }

// rig is a queue of which the tests see what it drops.
type rig struct {
	*Queue[item]
	put     int // items ever
	dropped []item
	reasons []Reason
	now     time.Time
}

func newRig(items, flowBytes, bytes int) *rig {
	r := &rig{now: start}
	r.Queue = New(Config[item]{
		Items: items, FlowBytes: flowBytes, Bytes: bytes, Quantum: 1,
		Dropped: func(one item, why Reason) { r.dropped, r.reasons = append(r.dropped, one), append(r.reasons, why) },
		Notice: func(flow string, since time.Time) item {
			return item{flow: flow, since: int(since.Sub(start) / time.Second)}
		},
		NoticeEvery: time.Minute,
	})
	return r
}

// add puts an item into a flow.
func (r *rig) add(flow string, size int) {
	r.Put(flow, item{flow, r.put, -1}, size, at(r.put), r.now)
	r.put++
}

// next has one turn that is all that its item needs, and says whose it was; "" for nobody's.
func (r *rig) next() string {
	one, ok := r.Next(r.now)
	if !ok {
		return ""
	}
	r.Done(true, 1, r.now)
	return one.String()
}

func (i item) String() string {
	name := i.flow
	if name == Everyone {
		name = "everyone"
	}
	if i.since >= 0 {
		return fmt.Sprint(name, " lost since ", i.since)
	}
	return fmt.Sprint(name, " ", i.number)
}

// turns are all turns that there are, also those that have their time.
func (r *rig) turns() string {
	var all []string
	for {
		for one := r.next(); one != ""; one = r.next() {
			all = append(all, one)
		}
		due, ok := r.Due()
		if !ok {
			return strings.Join(all, ", ")
		}
		r.now = due
	}
}

func (r *rig) fill(flow string, count, size int) {
	for range count {
		r.add(flow, size)
	}
}

func TestTurns(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		fill func(*rig)
		want string
	}{
		{"in the order of one flow", func(r *rig) { r.fill("a", 3, 1) }, "a 0, a 1, a 2"},
		{"flows in turns", func(r *rig) { r.fill("a", 3, 1); r.fill("b", 2, 1) }, "a 0, a 1, b 3, a 2, b 4"},
		{"everyone beside groups", func(r *rig) { r.fill("a", 3, 1); r.fill(Everyone, 2, 1) }, "everyone 3, a 0, a 1, everyone 4, a 2"},
		{"everyone beside many groups", func(r *rig) { r.fill("a", 1, 1); r.fill("b", 1, 1); r.fill("c", 1, 1); r.fill(Everyone, 2, 1) },
			"everyone 3, a 0, everyone 4, b 1, c 2"},
		{"nothing", func(*rig) {}, ""},
	} {
		r := newRig(10, 1<<20, 1<<20)
		test.fill(r)
		if got := r.turns(); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
		if r.Len() != 0 || r.Bytes() != 0 || r.Flows() != 0 {
			t.Errorf("%s: %d items, %d bytes and %d flows are left", test.name, r.Len(), r.Bytes(), r.Flows())
		}
	}
}

// TestQuietGroupBesideManyBusyOnes: it has its turn within three, however many have more to do than they get turns.
func TestQuietGroupBesideManyBusyOnes(t *testing.T) {
	t.Parallel()
	r := newRig(10, 1<<20, 1<<30)
	const busy = 1000
	for i := range busy {
		r.fill(fmt.Sprint("busy-", i), 10, 1)
	}
	r.fill(Everyone, 10, 1)
	for r.classes[classNew].First() != nil { // until each has had one
		r.next()
	}
	r.fill(Everyone, 10, 1)
	r.add("quiet", 1)
	var turns []string
	for range 3 {
		turns = append(turns, r.next())
	}
	if !slices.ContainsFunc(turns, func(s string) bool { return strings.HasPrefix(s, "quiet") }) {
		t.Errorf("the next turns are %q", turns)
	}
}

// TestNewFlowsLeaveOthersTheirTurns: new groups all the time, more than there are turns, take two thirds of them
// at most.
func TestNewFlowsLeaveOthersTheirTurns(t *testing.T) {
	t.Parallel()
	r := newRig(10, 1<<20, 1<<30)
	r.fill("old", 10, 1)
	r.fill(Everyone, 10, 1)
	r.next()
	r.next() // the old one is old now
	turns := map[string]int{}
	for i := range 24 {
		r.add(fmt.Sprint("new-", 2*i), 1)
		r.add(fmt.Sprint("new-", 2*i+1), 1)
		name, _, _ := strings.Cut(r.next(), " ")
		turns[strings.TrimRight(name, "0123456789")]++
	}
	if turns["old"] != 8 || turns["everyone"] != 8 || turns["new-"] != 8 {
		t.Errorf("%v", turns)
	}
}

// TestClassesWorkAlike: everyone's turns take ten, and as much is done for groups in between, in however many turns.
func TestClassesWorkAlike(t *testing.T) {
	t.Parallel()
	r := newRig(100, 1<<20, 1<<30)
	r.cfg.Quantum = 10
	r.fill(Everyone, 100, 1)
	for i := range 100 {
		r.add(fmt.Sprint("small-", i), 1)
	}
	r.fill("large", 100, 1)
	work := map[string]int{}
	for range 100 {
		one, _ := r.Next(r.now)
		name, _, _ := strings.Cut(one.flow, "-")
		n := map[string]int{Everyone: 10, "small": 1, "large": 5}[name]
		r.Done(true, n, r.now)
		work[name] += n
	}
	if all, groups := work[Everyone], work["small"]+work["large"]; all < groups-15 || all > groups+15 || work["small"] < 50 {
		t.Errorf("%v", work)
	}
}

// TestAnItemInPieces: what is under way goes on in its flow's next turns, and others have theirs in between.
func TestAnItemInPieces(t *testing.T) {
	t.Parallel()
	r := newRig(2, 1<<20, 1<<20)
	r.add("large", 1)
	r.add("small", 1)
	for _, want := range []string{"large 0", "large 0", "small 1", "large 0"} {
		one, ok := r.Next(r.now)
		if got := one.String(); !ok || got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		r.Done(one.flow == "small", 1, r.now)
	}
	r.fill("large", 3, 1) // of which two may wait
	if len(r.dropped) != 1 || r.dropped[0].number != 2 {
		t.Errorf("dropped %v, want the oldest that was not under way", r.dropped)
	}
}

func TestAFullFlowLosesItsOldest(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fill func(*rig)
		want string
	}{
		"by items":             {func(r *rig) { r.fill("a", 5, 1); r.add("b", 1) }, "a lost since 0, a 2, b 5, a 3, a 4"},
		"by bytes":             {func(r *rig) { r.fill("a", 3, 800) }, "a lost since 0, a 2"},
		"one larger than all":  {func(r *rig) { r.add("a", 1); r.add("a", 1<<30) }, "a lost since 0, a 1"},
		"one behind such":      {func(r *rig) { r.add("a", 1<<30); r.add("a", 1) }, "a lost since 0, a 1"},
		"everyone's":           {func(r *rig) { r.fill(Everyone, 5, 1) }, "everyone lost since 0, everyone 2, everyone 3, everyone 4"},
		"and nobody else does": {func(r *rig) { r.fill("a", 50, 1); r.fill("b", 3, 1) }, "a lost since 0, a 47, b 50, a 48, b 51, a 49, b 52"},
		"three just fit":       {func(r *rig) { r.fill("a", 3, 300) }, "a 0, a 1, a 2"},
	} {
		r := newRig(3, 2000, 1<<30)
		test.fill(r)
		kept := r.Len()
		if got := r.turns(); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
		if kept+len(r.dropped) != r.put {
			t.Errorf("%s: %d of %d were kept, and %d dropped", name, kept, r.put, len(r.dropped))
		}
	}
}

// TestTheGreedyFlowPays when all flows together have too much, and not the one that comes last.
func TestTheGreedyFlowPays(t *testing.T) {
	t.Parallel()
	const each = 1000 - Overhead
	r := newRig(100, 100_000, 10_000)
	r.fill("greedy", 8, each)
	r.fill("modest", 2, each)
	for i := range 5 {
		r.add(fmt.Sprint("one-", i), each)
	}
	for i, one := range r.dropped {
		if one.flow != "greedy" || one.number != i || r.reasons[i] != QueueFull {
			t.Errorf("dropped %s for %d", one, r.reasons[i])
		}
	}
	if len(r.dropped) != 5 || r.Bytes() != 10_000 {
		t.Errorf("%d were dropped, %d bytes are left", len(r.dropped), r.Bytes())
	}
}

// TestLimit: a lower bound holds from the next item on, a higher one too.
func TestLimit(t *testing.T) {
	t.Parallel()
	const each = 1000 - Overhead
	r := newRig(100, 100_000, 10_000)
	r.fill("a", 10, each)
	r.Limit(100_000, 5_000)
	r.add("b", each)
	if r.Bytes() != 5_000 || len(r.dropped) != 6 {
		t.Errorf("%d bytes, %d were dropped", r.Bytes(), len(r.dropped))
	}
	r.Limit(1_000, 20_000)
	r.add("a", each) // of which two may not wait
	if len(r.dropped) != 10 || r.Len() != 2 {
		t.Errorf("%d are left, %d were dropped", r.Len(), len(r.dropped))
	}
	r.Limit(100_000, 20_000)
	r.fill("a", 18, each)
	if len(r.dropped) != 10 || r.Bytes() != 20_000 {
		t.Errorf("%d bytes, %d were dropped", r.Bytes(), len(r.dropped))
	}
}

// TestNoticesAreFew: the first comes at once, the next ones each a while after the one before, also where the flow was empty
// in between; and the last loss is told too.
func TestNoticesAreFew(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]int{"always full": 1, "empty in between": 3} {
		r := newRig(2, 1<<20, 1<<20)
		begin := r.now
		var told []time.Time
		turn := func() {
			if strings.Contains(r.next(), "lost") {
				told = append(told, r.now)
			}
		}
		for range 400 {
			r.fill("a", 3, 1)
			for range each {
				turn()
			}
			r.now = r.now.Add(2 * time.Second)
		}
		lost := len(r.dropped)
		for range 3 {
			turn()
		}
		if due, ok := r.Due(); ok {
			r.now = due
			turn()
		}
		if lost < 300 || !told[0].Equal(begin) || len(told) < 8 {
			t.Errorf("%s: %d were lost, told %v", name, lost, told)
		}
		for i, at := range told[1:] {
			if after := at.Sub(told[i]); after < time.Minute || after > 2*time.Minute+2*time.Second {
				t.Errorf("%s: a notice %v after the one before", name, after)
			}
		}
		if r.turns() != "" || r.Flows() != 0 {
			t.Errorf("%s: %d flows are left", name, r.Flows())
		}
	}
}

// TestFlush: notices that wait for their time are given at once.
func TestFlush(t *testing.T) {
	t.Parallel()
	r := newRig(1, 1<<20, 1<<20)
	for range 2 {
		r.fill("a", 2, 1)
		r.fill("b", 1, 1)
		for range 5 {
			r.next()
		}
	}
	due, ok := r.Due()
	if r.Busy() || r.Flows() != 1 || !ok || !due.Equal(r.now.Add(time.Minute)) {
		t.Errorf("%d flows, due at %v", r.Flows(), due)
	}
	r.Flush()
	if got := r.next(); got != "a lost since 3" || r.Busy() {
		t.Errorf("%q", got)
	}
	r.Flush()
	if r.Flows() != 0 {
		t.Errorf("%d flows are left", r.Flows())
	}
}

// TestALossWithNothingBehindIt is told all the same.
func TestALossWithNothingBehindIt(t *testing.T) {
	t.Parallel()
	const each = 1000 - Overhead
	r := newRig(100, 100_000, 3_000)
	r.add("a", each+1)
	r.add("b", each)
	r.add("c", each) // pushes a's out
	if got, want := r.turns(), "a lost since 0, b 1, c 2"; got != want || r.Flows() != 0 {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestVeryManyLosses: the memory for notices is bounded too. Those for which there is none are told by one to everyone.
func TestVeryManyLosses(t *testing.T) {
	t.Parallel()
	r := newRig(100, 100_000, 100*(Overhead+100))
	const flows = 5000
	for i := range flows {
		r.add(fmt.Sprint("f-", i), 100)
	}
	if n := r.Flows(); n > maxIdle+100+1 {
		t.Errorf("there are %d flows", n)
	}
	lost := len(r.dropped)
	told, all := 0, ""
	for one := range strings.SplitSeq(r.turns(), ", ") {
		switch {
		case strings.HasPrefix(one, "everyone lost"):
			all += one
		case strings.Contains(one, "lost"):
			told++
		}
	}
	if lost != flows-100 || told != maxIdle || all != fmt.Sprint("everyone lost since ", maxIdle) {
		t.Errorf("%d lost, %d of them told, and %q", lost, told, all)
	}
	if r.Flows() != 0 || r.flows.Room() > shrinkmap.Kept || len(r.fattest.flows) != 0 || cap(r.fattest.flows) > keptFlows {
		t.Errorf("%d flows are left, with room for %d and %d", r.Flows(), r.flows.Room(), cap(r.fattest.flows))
	}
}

// TestWithoutNotices: flows that have lost all go without a word.
func TestWithoutNotices(t *testing.T) {
	t.Parallel()
	lost := 0
	q := New(Config[int]{Items: 1, FlowBytes: 100, Bytes: 2 * (Overhead + 10), Quantum: 1, Dropped: func(int, Reason) { lost++ }})
	for i := range 10 {
		q.Put(fmt.Sprint(i), i, 10, start, start)
		q.Put(fmt.Sprint(i), i, 10, start, start)
	}
	if q.Flows() != 2 || q.Len() != 2 || lost != 18 {
		t.Errorf("%d flows, %d items, %d lost", q.Flows(), q.Len(), lost)
	}
	for _, ok := q.Next(start); ok; _, ok = q.Next(start) {
		q.Done(true, 1, start)
	}
	if q.Flows() != 0 || q.Bytes() != 0 {
		t.Errorf("%d flows and %d bytes are left", q.Flows(), q.Bytes())
	}
}

func BenchmarkPutAndNext(b *testing.B) {
	for _, flows := range []int{1, 1000} {
		b.Run(fmt.Sprint(flows, " flows"), func(b *testing.B) {
			names := make([]string, flows)
			for i := range names {
				names[i] = fmt.Sprint("group-", i)
			}
			q := New(Config[int]{Items: 100, FlowBytes: 1 << 20, Bytes: 1 << 25, Quantum: 128, Dropped: func(int, Reason) {}})
			for i := 0; b.Loop(); i++ {
				q.Put(names[rand.IntN(flows)], i, 300, start, start)
				if i >= flows*10 {
					q.Next(start)
					q.Done(true, 1, start)
				}
			}
		})
	}
}
