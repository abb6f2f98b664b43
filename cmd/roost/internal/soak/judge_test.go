package soak

import (
	"strings"
	"testing"
	"time"

	"roost/cmd/roost/internal/roosttest"
)

// TestJudge has the soak's judge find each thing that must not happen, and nothing else.
func TestJudge(t *testing.T) {
	t.Parallel()
	start := time.Now()
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	// Redis is killed in second 3, and the clients are told in second 4.
	cuts := []cut{{at(3), at(3)}}
	said := func(s state, epoch, seconds int) publication { return publication{s, epoch, at(seconds), at(seconds)} }
	late := publication{heard, 0, at(3).Add(-time.Nanosecond), at(5)} // the reply is read when Redis runs again
	all := []publication{said(heard, 0, 1), said(heard, 0, 2), late, said(unsure, 0, 3), said(unheard, 1, 4), said(heard, 1, 5)}
	since := func(seconds int) []roosttest.Gap { return []roosttest.Gap{{Since: at(seconds), Told: at(4)}} }
	got := func(numbers ...int) record { return record{numbers, since(2)} }
	whole := got(0, 1, 2, 3, 5)
	tests := []struct {
		name        string
		connections []record
		want        outcome
		fault       string
	}{
		{"all that can come", []record{whole, whole}, outcome{arrived: 5, deliveries: 10, unheard: 1}, ""},
		{"less what Redis dropped", []record{got(0, 1, 5), got(0, 1, 5)}, outcome{arrived: 3, deliveries: 6, unheard: 1, unsure: 1, lost: 1}, ""},
		{"more that was on the way", []record{got(0, 5)}, outcome{arrived: 2, deliveries: 2, unheard: 1, unsure: 1, lost: 2}, ""},
		{"not what came before", []record{got(1, 5)}, outcome{arrived: 2, deliveries: 2, unheard: 1, unsure: 1, lost: 1}, "0 is lost"},
		{"untold", []record{{[]int{0, 5}, nil}}, outcome{arrived: 2, deliveries: 2, unheard: 1, unsure: 1}, "1 is lost, in epoch 0, and not everybody was told"},
		{"told too late a time", []record{got(0, 5), {[]int{0, 5}, since(3)}}, outcome{arrived: 2, deliveries: 4, unheard: 1, unsure: 1, lost: 1}, "1 is lost, in epoch 0, and not everybody was told"},
		{"lost after the kill", []record{got(0, 1, 2, 3)}, outcome{arrived: 4, deliveries: 4, unheard: 1}, "5 is lost, in epoch 1"},
		{"lost by one connection", []record{whole, got(0, 1, 2, 5)}, outcome{arrived: 4, deliveries: 8, unheard: 1}, "3 reached 1 of 2"},
		{"twice", []record{got(0, 1, 1, 2, 3, 5)}, outcome{arrived: 5, deliveries: 5, unheard: 1}, "1 came after 1"},
		{"order", []record{got(1, 0, 2, 3, 5)}, outcome{arrived: 4, deliveries: 4, unheard: 1}, "0 came after 1"},
		{"never published", []record{got(0, 1, 2, 3, 5, 6)}, outcome{arrived: 5, deliveries: 5, unheard: 1}, "never published"},
		{"unheard came", []record{got(0, 1, 2, 3, 4, 5)}, outcome{arrived: 5, deliveries: 5}, "nobody heard it"},
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
