package hub

import (
	"fmt"
	"testing"
)

// named is an entry for a table's tests.
type named struct {
	link Link
	hash uint32
}

func (n *named) HubLink() *Link { return &n.link }

// tableAndModel is a table and the Go map that says what is in it.
type tableAndModel struct {
	table table
	model map[string]entry
}

// toggle lets a user come, or go if here.
func (m *tableAndModel) toggle(user string, hash uint32) {
	if m.model[user] != nil {
		m.table.remove(hash, user)
		delete(m.model, user)
		return
	}
	e := &named{link: Link{user: user}, hash: hash}
	m.model[user] = e
	m.table.put(hash, e)
}

// check compares the two.
func (m *tableAndModel) check(t *testing.T) {
	t.Helper()
	for user, want := range m.model {
		if m.table.find(want.(*named).hash, user) != want {
			t.Fatalf("%s is not found", user)
		}
	}
	entries := 0
	for e := range m.table.all() {
		if entries++; m.model[e.HubLink().user] != e {
			t.Fatalf("%s is in the table, and should not be", e.HubLink().user)
		}
	}
	slots := len(m.table.slots)
	if entries != len(m.model) || m.table.used != entries || len(m.table.hashes) != slots {
		t.Fatalf("%d entries, %d used, %d hashes, %d slots; want %d entries", entries, m.table.used, len(m.table.hashes), slots, len(m.model))
	}
	if slots > minSlots && (m.table.used*6 > slots*5 || m.table.used*3 < slots) {
		t.Fatalf("%d slots for %d entries", slots, entries)
	}
}

// Each byte lets a user come or go. The hash is a bad one, so that many have their homes close together, or the same.
func FuzzTable(f *testing.F) {
	f.Add([]byte("abcabc"), uint8(0))
	f.Add([]byte("abcdefghijklmnopqrstuvwxyzdbacefabcdefghijklmnopqrstuvwxyz"), uint8(24))
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x02\x04\x06\x08\x03\x01"), uint8(31))
	f.Fuzz(func(t *testing.T, steps []byte, shift uint8) {
		m := tableAndModel{model: make(map[string]entry)}
		for _, b := range steps {
			hash := uint32(b) << (shift % 32)
			m.toggle(fmt.Sprint(b), hash)
			m.check(t)
			if m.table.find(hash, "nobody") != nil {
				t.Fatal("found nobody")
			}
		}
	})
}

func TestTableGrowsAndShrinks(t *testing.T) {
	t.Parallel()
	const n = 5_000
	m := tableAndModel{model: make(map[string]entry)}
	for _, direction := range []string{"coming", "going"} {
		for i := range n {
			m.toggle(fmt.Sprint(i), uint32(i)*0x9E3779B1)
			if i%100 == 0 {
				m.check(t)
			}
		}
		if m.check(t); direction == "coming" && m.table.used != n {
			t.Errorf("%d entries after %s, want %d", m.table.used, direction, n)
		}
	}
	if slots := len(m.table.slots); slots != minSlots {
		t.Errorf("%d slots after everybody left, want %d", slots, minSlots)
	}
}

// An entry takes the place of the one that its user had.
func TestTablePutReplaces(t *testing.T) {
	t.Parallel()
	m := tableAndModel{model: make(map[string]entry)}
	m.toggle("alice", 7)
	second := &named{link: Link{user: "alice"}, hash: 7}
	m.model["alice"] = second
	m.table.put(7, second)
	m.check(t)
}

func TestTableStopsWhenAsked(t *testing.T) {
	t.Parallel()
	var m table
	for hash, user := range []string{"a", "b", "c"} {
		m.put(uint32(hash), &named{link: Link{user: user}})
	}
	seen := 0
	for range m.all() {
		if seen++; seen == 2 {
			break
		}
	}
	if seen != 2 {
		t.Errorf("%d entries", seen)
	}
}
