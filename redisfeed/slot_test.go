package redisfeed

import "testing"

func TestUserSlot(t *testing.T) {
	t.Parallel()
	if got := crc16(0, "123456789"); got != 0x31c3 { // the specification's example
		t.Fatalf("crc16 is %#x", got)
	}
	if got := crc16(0, ChannelPrefix); got != prefixCRC {
		t.Fatalf("the prefix's is %#x", got)
	}
}
