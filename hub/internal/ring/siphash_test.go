package ring

import "testing"

// The paper's test vectors (appendix A, and the authors' reference code): the key is 00 01 … 0f, the input 00 01 … of so many bytes.
func TestSipHash(t *testing.T) {
	var bytes [16]byte
	for i := range bytes {
		bytes[i] = byte(i)
	}
	key := newHashKey(bytes[:])
	for length, want := range map[int]uint64{0: 0x726fdb47dd0e0e31, 1: 0x74f839c593dc67fd, 8: 0x93f5f5799a932462, 15: 0xa129ca6149be45e5} {
		if got := key.siphash(string(bytes[:length])); got != want {
			t.Errorf("%d bytes: %x, want %x", length, got, want)
		}
	}
}
