package fairqueue

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// model is a queue as plainly as it can be said: what waits in each flow, what is under way, and what receivers are owed.
// It does not say who is next; of turns it checks that nobody waits too long for one.
type model struct {
	t        *testing.T
	r        *rig
	waiting  map[string][]modelItem
	underway map[string]*modelItem
	owed     map[string]int       // the first number that was lost and not told, by flow
	told     map[string]time.Time // the last notice, by flow
	since    map[string]int       // turns since a flow with something to do had one
	seen     int                  // of r.dropped
}

type modelItem struct {
	number, charge int
}

const (
	modelItems     = 4
	modelFlowBytes = 4_000
	modelBytes     = 12_000
)

func newModel(t *testing.T) *model {
	return &model{t: t, r: newRig(modelItems, modelFlowBytes, modelBytes), waiting: map[string][]modelItem{},
		underway: map[string]*modelItem{}, owed: map[string]int{}, told: map[string]time.Time{}, since: map[string]int{}}
}

func charged(all []modelItem) (sum int) {
	for _, one := range all {
		sum += one.charge
	}
	return sum
}

// total is what all are charged.
func (m *model) total() (sum int) {
	for _, all := range m.waiting {
		sum += charged(all)
	}
	for _, one := range m.underway {
		if one != nil {
			sum += one.charge
		}
	}
	return sum
}

// put puts an item into both, and checks what was dropped for it.
func (m *model) put(flow string, size int) {
	number, charge := m.r.put, min(size, modelFlowBytes)+Overhead
	m.r.add(flow, size)
	m.waiting[flow] = append(m.waiting[flow], modelItem{number, charge})
	for ; m.seen < len(m.r.dropped); m.seen++ {
		m.drop(m.r.dropped[m.seen], m.r.reasons[m.seen], flow)
	}
	if n := len(m.waiting[flow]); n > modelItems {
		m.t.Fatalf("%d wait in %q", n, flow)
	}
	m.check()
}

// drop takes what was dropped out of the model: it has to be the oldest of its flow, and the flow the right one.
func (m *model) drop(gone item, why Reason, cause string) {
	all := m.waiting[gone.flow]
	if len(all) == 0 || all[0].number != gone.number {
		m.t.Fatalf("dropped %s, where %v wait", gone, all)
	}
	if why == FlowFull {
		before := all[:len(all)-1] // without the one that has just come
		if gone.flow != cause || len(all) <= modelItems && charged(all) <= modelFlowBytes+Overhead || len(before) == 0 {
			m.t.Fatalf("%s was dropped from a flow that was not full, for %q", gone, cause)
		}
	} else {
		for name, others := range m.waiting {
			if charged(others) > charged(all) || len(others) > 0 && charged(others) == charged(all) && others[0].number < gone.number {
				m.t.Fatalf("%s was dropped, and %q has more waiting, or for longer", gone, name)
			}
		}
		if m.total() <= modelBytes {
			m.t.Fatalf("%s was dropped, with %d bytes in all", gone, m.total())
		}
	}
	m.waiting[gone.flow] = all[1:]
	if owed, ok := m.owed[gone.flow]; !ok || gone.number < owed {
		m.owed[gone.flow] = gone.number
	}
}

// turn has one turn in both. It is false when there is nothing to do.
func (m *model) turn(finished bool) bool {
	one, ok := m.r.Next(m.r.now)
	if !ok {
		return false
	}
	flow := one.flow
	switch {
	case one.since >= 0 && m.underway[flow] == nil: // a notice that begins
		if owed, ok := m.owed[flow]; !ok || one.since != owed {
			m.t.Fatalf("%s, and %v are owed", one, m.owed)
		}
		if at, ok := m.told[flow]; ok && m.r.now.Sub(at) < m.r.cfg.NoticeEvery {
			m.t.Fatalf("%s, %v after the one before", one, m.r.now.Sub(at))
		}
		m.told[flow] = m.r.now
		delete(m.owed, flow)
		m.underway[flow] = &modelItem{number: -1}
	case one.since >= 0:
		if m.underway[flow].number != -1 {
			m.t.Fatalf("%s in the middle of %v", one, m.underway[flow])
		}
	case m.underway[flow] == nil:
		all := m.waiting[flow]
		if len(all) == 0 || all[0].number != one.number {
			m.t.Fatalf("%s has a turn, where %v wait", one, all)
		}
		m.underway[flow], m.waiting[flow] = &all[0], all[1:]
	case m.underway[flow].number != one.number:
		m.t.Fatalf("%s in the middle of %v", one, m.underway[flow])
	}
	m.r.Done(finished, 1, m.r.now)
	if finished {
		m.underway[flow] = nil
	}
	m.count(flow)
	m.check()
	return true
}

// count checks that no flow with something to do waits for longer than three turns of each.
func (m *model) count(had string) {
	busy := 0
	for _, flow := range m.names() {
		if flow == had || len(m.waiting[flow]) == 0 && m.underway[flow] == nil {
			m.since[flow] = 0
			continue
		}
		m.since[flow]++
		busy++
	}
	for flow, n := range m.since {
		if n > 3*(len(m.names())+1) {
			m.t.Fatalf("%q has waited for %d turns, beside %d others", flow, n, busy)
		}
	}
}

func (m *model) names() (all []string) {
	for flow := range m.waiting {
		all = append(all, flow)
	}
	return all
}

func (m *model) hasWork(flow string) bool {
	_, owes := m.owed[flow]
	return len(m.waiting[flow]) > 0 || m.underway[flow] != nil || owes
}

// check compares the sums, and looks inside.
func (m *model) check() {
	items, flows := 0, 0
	for flow, all := range m.waiting {
		items += len(all)
		if one := m.underway[flow]; one != nil && one.number >= 0 {
			items++
		}
		if m.hasWork(flow) {
			flows++
		}
	}
	q := m.r.Queue
	resting := 0
	for f := q.resting.First(); f != nil; f = f.turn.Next() {
		if !f.turn.In(&q.resting) || f.busy || f.waiting.len() > 0 || f.turn.Next() != nil && f.turn.Next().rests.Before(f.rests) {
			m.t.Fatalf("%q rests, and should not", f.name)
		}
		if _, owes := m.owed[f.name]; owes {
			flows--
		}
		resting++
	}
	if q.Len() != items || q.Flows() != flows+resting || q.Bytes() != m.total() || q.Bytes() > modelBytes {
		m.t.Fatalf("%d items in %d flows with %d bytes, want %d, %d and %d", q.Len(), q.Flows(), q.Bytes(), items, flows, m.total())
	}
	listed := 0
	for i := range q.classes {
		for f := q.classes[i].First(); f != nil; f = f.turn.Next() {
			if !f.turn.In(&q.classes[i]) || q.flows.Get(f.name) != f || (i == classEveryone) != (f.name == Everyone) {
				m.t.Fatalf("%q is in the wrong list", f.name)
			}
			listed++
		}
	}
	for i, f := range q.fattest.flows {
		if f.place != i || i > 0 && before(f, q.fattest.flows[(i-1)/2]) {
			m.t.Fatalf("%q is in the wrong place of the heap", f.name)
		}
	}
	idle := 0
	for name, f := range q.flows.All() {
		if name != Everyone && !f.busy && f.waiting.len() == 0 {
			idle++
		}
	}
	if q.idle != idle {
		m.t.Fatalf("%d idle flows are counted, want %d", q.idle, idle)
	}
	if listed != flows || len(q.fattest.flows) != flows+resting || q.Busy() != (flows > 0) {
		m.t.Fatalf("%d flows are in lists and %d in the heap, want %d, and %d rest", listed, len(q.fattest.flows), flows, resting)
	}
}

// drain has all turns, and checks that nothing is left.
func (m *model) drain() {
	for {
		for m.turn(true) {
		}
		due, ok := m.r.Due()
		if !ok {
			break
		}
		m.r.now = due
	}
	if m.r.Len() != 0 || m.r.Bytes() != 0 || m.r.Flows() != 0 || len(m.owed) != 0 {
		m.t.Fatalf("%d items, %d bytes, %d flows and %v are left", m.r.Len(), m.r.Bytes(), m.r.Flows(), m.owed)
	}
}

// play does what the bytes say: each is a turn, or an item for one of six flows, of one of several sizes.
func (m *model) play(script []byte) {
	for _, b := range script {
		switch kind := b % 8; kind {
		case 6, 7:
			m.turn(b&8 == 0)
		case 5:
			m.put(Everyone, sizes[b>>4%8])
		default:
			m.put(fmt.Sprint("group-", kind), sizes[b>>4%8])
		}
		m.r.now = m.r.now.Add(noticeSteps[b>>7])
	}
	m.drain()
}

var (
	sizes       = [8]int{0, 1, 30, 100, 300, 1_000, 3_500, 1 << 20}
	noticeSteps = [2]time.Duration{0, 10 * time.Second}
)

func TestLikeTheModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 0))
		script := make([]byte, random.IntN(600))
		for i := range script {
			script[i] = byte(random.Uint32())
		}
		newModel(t).play(script)
	}
}

func FuzzQueue(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 6, 5, 5, 5, 5, 5, 14, 6, 6})
	f.Add([]byte{0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0xf6, 0xfe})
	f.Fuzz(func(t *testing.T, script []byte) { newModel(t).play(script) })
}
