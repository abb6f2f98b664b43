package redispub

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func TestAppendPublish(t *testing.T) {
	t.Parallel()
	got := string(appendPublish([]byte("x"), plain, []byte("user_noti:a"), []byte(`{"ä":1}`)))
	want := "x*3\r\n$7\r\nPUBLISH\r\n$11\r\nuser_noti:a\r\n$8\r\n{\"ä\":1}\r\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReplies(t *testing.T) {
	t.Parallel()
	for _, piece := range []int{1, 2, 100} {
		var r replies
		for part := range slices.Chunk([]byte(":1\r\n:0\r\n:12\r\n:"), piece) {
			if err := r.take(part); err != nil {
				t.Fatal(err)
			}
		}
		if r.count != 3 || r.subscribed != 2 {
			t.Errorf("in pieces of %d: %d answers, %d subscribed", piece, r.count, r.subscribed)
		}
	}
	var r replies
	if err := r.take([]byte("-NOAUTH Authentication required.\r\n")); !errors.Is(err, errReply) {
		t.Errorf("got %v", err)
	}
}

func TestPickerKeepsShares(t *testing.T) {
	t.Parallel()
	p := Pattern{First: 100, Users: 50, Absent: 0.5, Stalled: 2, StalledShare: 0.2}
	k := newPicker(p)
	const draws = 20_000
	absent, stalled, seen := 0, 0, map[int]bool{}
	for range draws {
		user := k.next()
		switch {
		case !p.present(user):
			absent++
		case !p.reads(user):
			stalled++
		default:
			seen[user] = true
		}
	}
	near := func(n int, share float64) bool {
		return float64(n) > (share-0.02)*draws && float64(n) < (share+0.02)*draws
	}
	if !near(absent, 0.5) || !near(stalled, 0.2) || len(seen) != 48 {
		t.Errorf("%d absent, %d stalled, %d users that read", absent, stalled, len(seen))
	}
}

func TestPickerTakesTurns(t *testing.T) {
	t.Parallel()
	k := newPicker(Pattern{First: 7, Users: 3, InTurn: true})
	var got []int
	for range 7 {
		got = append(got, k.next())
	}
	if want := []int{7, 8, 9, 7, 8, 9, 7}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPatternRefuses(t *testing.T) {
	t.Parallel()
	for _, p := range []Pattern{{}, {Users: 2, Stalled: 2}, {Users: 1, Absent: 1.5}, {Users: 9, Absent: 0.6, StalledShare: 0.5}, {Users: 9, InTurn: true, Absent: 0.1}} {
		if err := p.validate(); err == nil {
			t.Errorf("%+v was taken", p)
		}
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	start := time.Unix(1_000, 0)
	ms := func(n float64) time.Time { return start.Add(time.Duration(n * 1e6)) }
	tests := []struct {
		name string
		s    schedule
		sent int
		now  time.Time
		due  int
		next time.Duration
	}{
		{"the first at once", schedule{rate: 1000, burst: 1}, 0, ms(0), 1, 0},
		{"one by one even when late", schedule{rate: 1000, burst: 1}, 3, ms(10), 1, 0},
		{"too early", schedule{rate: 1000, burst: 1}, 3, ms(2.5), 0, 500 * time.Microsecond},
		{"a batch takes what is due", schedule{rate: 10_000, burst: 1, batch: time.Millisecond}, 20, ms(2.95), 10, 0},
		{"between batches", schedule{rate: 10_000, burst: 1, batch: time.Millisecond}, 20, ms(1.95), 0, time.Millisecond},
		{"a burst is whole", schedule{rate: 1000, burst: 50}, 50, ms(50), 50, 0},
		{"batches of whole bursts", schedule{rate: 100_000, burst: 50, batch: time.Millisecond}, 0, ms(1.2), 150, 0},
		{"a piece has an end", schedule{rate: 100_000, burst: 1, batch: time.Millisecond}, 0, ms(5000), maxPiece + 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.s.start = start
			if due := tt.s.due(tt.sent, tt.now); due != tt.due {
				t.Errorf("%d due, want %d", due, tt.due)
			}
			if tt.due == 0 {
				if next := tt.s.next(tt.sent, tt.now); next != tt.next {
					t.Errorf("next in %s, want %s", next, tt.next)
				}
			}
		})
	}
}
