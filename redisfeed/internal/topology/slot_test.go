package topology

import "testing"

func TestSlot(t *testing.T) {
	t.Parallel()
	if got := crc16(0, "123456789"); got != 0x31c3 { // the specification's example
		t.Fatalf("crc16 is %#x", got)
	}
	// CLUSTER KEYSLOT of Redis 7.0 says the same.
	for name, want := range map[string]uint16{"alice": 76, "a{alice}b": 749, "{}alice": 7757, "a}b{alice": 6328} {
		if got := Slot("user_noti:", name); got != want {
			t.Errorf("%q is in slot %d, want %d", name, got, want)
		}
	}
}
