package tlsrecord

import (
	"bytes"
	"crypto/rand"
	"testing"
)

// One deriver derives the same as crypto/hkdf, for every suite, label and length in turn.
func TestDeriver(t *testing.T) {
	var e deriver
	for i := range 200 {
		for _, s := range allSuites {
			secret := make([]byte, s.secretLen())
			_, _ = rand.Read(secret)
			for label, length := range map[string]int{"key": s.keyLen(), "iv": 12, "traffic upd": s.secretLen(), "finished": 1 + i%s.secretLen()} {
				want, err := s.expandLabel(secret, label, length)
				if err != nil {
					t.Fatal(err)
				}
				got := make([]byte, length)
				if e.expand(got, s, secret, label); !bytes.Equal(got, want) {
					t.Fatalf("%v, %s of %d bytes: %x, want %x", s, label, length, got, want)
				}
			}
		}
	}
	if e.block != [128]byte{} || e.sum != [48]byte{} {
		t.Error("something of a secret is left")
	}
}

// A new cipher object is all that a record of an idle connection allocates.
func TestDerivingAllocatesNothing(t *testing.T) {
	for _, s := range allSuites {
		c, _ := twins(t, s)
		var e deriver
		key := make([]byte, s.keyLen())
		if n := testing.AllocsPerRun(100, func() { e.expand(key, s, c.secretOf(reading, new([48]byte)), "key") }); n != 0 {
			t.Errorf("%v: %v allocations", s, n)
		}
	}
}
