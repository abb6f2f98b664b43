package hub

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

// everybody are the users of all parts.
func everybody(h *Hub) (users []string) {
	for part := range h.Shards() {
		users = h.AppendUsers(part, users)
	}
	slices.Sort(users)
	return users
}

func TestAppendUsers(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	if got := everybody(h); len(got) > 0 {
		t.Fatalf("nobody is here but %q", got)
	}
	mustAdmit(t, h, "\x00probe")
	var want []string
	for i := range 1000 {
		user := fmt.Sprintf("user%03d", i)
		want = append(want, user)
		mustAdmit(t, h, user)
	}
	second := mustAdmit(t, h, "user007")
	if got := everybody(h); !slices.Equal(got, want) {
		t.Fatalf("%d users, want %d, each once and no probe", len(got), len(want))
	}
	h.Remove(second)
	if got := everybody(h); len(got) != len(want) {
		t.Errorf("%d users after the second connection of one left, want %d", len(got), len(want))
	}
	if got := h.AppendUsers(0, []string{"first"}); got[0] != "first" {
		t.Errorf("what was there before is lost: %q", got)
	}
}

// The list grows while others come and go.
func TestAppendUsersWhileTheyComeAndGo(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	stays := mustAdmit(t, h, "stays")
	var wg sync.WaitGroup
	for g := range 2 {
		wg.Go(func() {
			for i := range 3000 {
				c := mustAdmit(t, h, fmt.Sprint("user", g, "/", i))
				if i%2 == 0 {
					h.Remove(c)
				}
			}
		})
	}
	for range 50 {
		if got := everybody(h); !slices.Contains(got, "stays") || len(slices.Compact(got)) != len(got) {
			t.Errorf("%d users, one of them twice, or without who stays", len(got))
		}
	}
	wg.Wait()
	h.Remove(stays)
	if got := everybody(h); len(got) != 3000 {
		t.Errorf("%d users, want 3000", len(got))
	}
}
