package soak

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestJudge has the soak's judge find each thing that must not happen, and nothing else.
func TestJudge(t *testing.T) {
	t.Parallel()
	start := time.Now()
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	// Redis is killed in second 3: of what it had counted in that second, some may be lost.
	cuts := []cut{{at(3), at(3)}}
	said := func(s state, epoch, seconds int) publication { return publication{s, epoch, at(seconds), at(seconds)} }
	late := publication{heard, 0, at(3), at(5)} // the reply is read when Redis runs again
	all := []publication{said(heard, 0, 1), said(heard, 0, 2), late, said(unsure, 0, 3), said(unheard, 1, 4), said(heard, 1, 5)}
	whole := []int{0, 1, 2, 3, 5}
	tests := []struct {
		name        string
		connections [][]int
		want        outcome
		fault       string
	}{
		{"all that can come", [][]int{whole, whole}, outcome{arrived: 5, deliveries: 10, unheard: 1}, ""},
		{"less what Redis dropped", [][]int{{0, 1, 5}, {0, 1, 5}}, outcome{arrived: 3, deliveries: 6, unheard: 1, unsure: 1, lost: 1}, ""},
		{"lost", [][]int{{0, 2, 3, 5}, {0, 2, 3, 5}}, outcome{arrived: 4, deliveries: 8, unheard: 1}, "1 is lost"},
		{"lost after the kill", [][]int{{0, 1, 2, 3}}, outcome{arrived: 4, deliveries: 4, unheard: 1}, "5 is lost, in epoch 1"},
		{"lost by one connection", [][]int{whole, {0, 1, 2, 5}}, outcome{arrived: 4, deliveries: 8, unheard: 1}, "3 reached 1 of 2"},
		{"twice", [][]int{{0, 1, 1, 2, 3, 5}}, outcome{arrived: 5, deliveries: 5, unheard: 1}, "1 came after 1"},
		{"order", [][]int{{1, 0, 2, 3, 5}}, outcome{arrived: 4, deliveries: 4, unheard: 1}, "0 came after 1"},
		{"never published", [][]int{append(slices.Clone(whole), 6)}, outcome{arrived: 5, deliveries: 5, unheard: 1}, "never published"},
		{"unheard came", [][]int{{0, 1, 2, 3, 4, 5}}, outcome{arrived: 5, deliveries: 5}, "nobody heard it"},
	}
	for _, test := range tests {
		got := judge("alice", all, cuts, test.connections)
		faults := strings.Join(got.faults, "; ")
		if (test.fault == "") != (faults == "") || !strings.Contains(faults, test.fault) {
			t.Errorf("%s: faults %q, want %q", test.name, faults, test.fault)
		}
		got.faults = nil
		if got.arrived != test.want.arrived || got.deliveries != test.want.deliveries || got.unheard != test.want.unheard ||
			got.unsure != test.want.unsure || got.lost != test.want.lost {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}
