package hub

import (
	"fmt"
	"testing"
)

// named is an entry for a table's tests.
type named struct{ link Link }

func (n *named) HubLink() *Link { return &n.link }

// tableAndModel is a table and the Go map that says what is in it.
type tableAndModel struct {
	table table
	model map[string]entry
}

func (m *tableAndModel) insert(user string, hash uint32) {
	e := &named{Link{user: user, hash: hash}}
	m.model[user] = e
	m.table.insert(e)
}

func (m *tableAndModel) remove(user string) {
	slot, _ := m.table.find(m.model[user].HubLink().hash, user)
	m.table.remove(slot)
	delete(m.model, user)
}

// check compares the two and looks at every rule of the table.
func (m *tableAndModel) check(t *testing.T) {
	t.Helper()
	if m.table.used != len(m.model) {
		t.Fatalf("%d used, want %d", m.table.used, len(m.model))
	}
	for user, want := range m.model {
		slot, found := m.table.find(want.HubLink().hash, user)
		if !found || m.table.slots[slot] != want {
			t.Fatalf("%s is not found", user)
		}
	}
	slots := len(m.table.slots)
	if len(m.table.marks) != slots || m.table.used*8 > slots*7 {
		t.Fatalf("%d slots, %d marks, %d used", slots, len(m.table.marks), m.table.used)
	}
	for slot, e := range m.table.slots {
		mark := m.table.marks[slot]
		if e == nil {
			if mark != 0 {
				t.Fatalf("the free slot %d has mark %#x", slot, mark)
			}
			continue
		}
		away := (slot - m.table.home(e.HubLink().hash) + slots) % slots
		if int(mark/atHome) != away+1 {
			t.Fatalf("slot %d says that its entry is %d from home, which is %d", slot, int(mark/atHome)-1, away)
		}
		if next := m.table.marks[m.table.next(slot)]; next/atHome > mark/atHome+1 {
			t.Fatalf("slot %d should have been given to the next one's entry", slot)
		}
	}
}

func newTableAndModel() *tableAndModel { return &tableAndModel{model: make(map[string]entry)} }

// Each byte lets a user come, or go if here. The hash is a bad one, so that many
// have their homes close together.
func FuzzTable(f *testing.F) {
	f.Add([]byte("abcabc"), uint8(0))
	f.Add([]byte("abcdefghijklmnopqrstuvwxyzdbacefabcdefghijklmnopqrstuvwxyz"), uint8(24))
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x02\x04\x06\x08\x03\x01"), uint8(31))
	f.Fuzz(func(t *testing.T, steps []byte, shift uint8) {
		m := newTableAndModel()
		for _, b := range steps {
			user, hash := fmt.Sprint(b), uint32(b)<<(shift%32)
			if m.model[user] != nil {
				m.remove(user)
			} else {
				m.insert(user, hash)
			}
			if _, found := m.table.find(hash, "nobody"); found {
				t.Fatal("found nobody")
			}
		}
		m.check(t)
	})
}

func TestTableGrowsAndShrinks(t *testing.T) {
	t.Parallel()
	const n = 5_000
	m := newTableAndModel()
	hash := func(i int) uint32 { return uint32(i) * 0x9E3779B1 }
	for i := range n {
		m.insert(fmt.Sprint(i), hash(i))
		if i%500 == 0 {
			m.check(t)
		}
	}
	m.check(t)
	if slots := len(m.table.slots); slots > n*3/2 {
		t.Errorf("%d slots for %d users", slots, n)
	}
	for i := range n {
		m.remove(fmt.Sprint(i))
		if i%500 == 0 {
			m.check(t)
		}
	}
	m.check(t)
	if slots := len(m.table.slots); slots > minSlots {
		t.Errorf("%d slots after everybody left, want %d", slots, minSlots)
	}
}

// Hashes that put everybody's home into one corner: the table grows until
// nobody is too far from home.
func TestTableGrowsWhenCrowdedInOnePlace(t *testing.T) {
	t.Parallel()
	m := newTableAndModel()
	for i := range 300 {
		m.insert(fmt.Sprint(i), uint32(i)<<20)
	}
	m.check(t)
	if slots := len(m.table.slots); slots < 2*300 {
		t.Errorf("%d slots, want the table to have grown out of its turn", slots)
	}
	for i := range 300 {
		m.remove(fmt.Sprint(i))
	}
	m.check(t)
}
