package redispub

import (
	"errors"
	"testing"
)

func TestSlots(t *testing.T) {
	t.Parallel()
	// As redis-cli cluster keyslot says; the first is the specification's.
	for name, want := range map[string]int{"123456789": 0x31C3, "user_noti:bench-0": 14216} {
		if got := slotOf([]byte(name)); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	at, err := linkOf([]Shard{{First: 0, Last: 99}, {First: 100, Last: slots - 1}})
	if err != nil || at[99] != 0 || at[100] != 1 {
		t.Errorf("%v", err)
	}
	if _, err := linkOf([]Shard{{First: 0, Last: slots - 2}}); !errors.Is(err, errShards) {
		t.Errorf("got %v", err)
	}
}
