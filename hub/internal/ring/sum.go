package ring

import (
	"hash/crc32"
	"unsafe"

	"roost/internal/position"
)

// sum is a checksum chained over a series of notifications: a polynomial whose coefficients are theirs, modulo a prime. Other than
// with a CRC chained over all bytes, that from any place to any later one follows from those of the two places. So one for each
// place serves all markers, and the notifications' own don't depend on what was heard before.
//
// All instances have to compute the same: neither the constants nor sumOf may change without a change of position.MarkerOf.
type sum uint32

const (
	sumPrime = 1<<32 - 5
	sumBase  = 2654435761 // a primitive root
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumOf is that of one notification. The lengths are in it, so that no two notifications have the same bytes.
func sumOf(key Key, payload string) sum {
	crc := crc32.Update(uint32(key.Kind), castagnoli, bytesOf(key.Name))
	crc = crc32.Update(crc, castagnoli, bytesOf(payload))
	return sum((uint64(len(payload))<<42 ^ uint64(len(key.Name))<<32 ^ uint64(crc)) % sumPrime)
}

// bytesOf is for those who only read them.
func bytesOf(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }

// add chains one more.
func (s sum) add(one sum) sum { return sum((uint64(s)*sumBase + uint64(one)) % sumPrime) }

// since is that of the last count of the notifications, where start was that before them.
func (s sum) since(start sum, count uint64) sum {
	gone, base := uint64(start), uint64(sumBase)
	for ; count > 0; count >>= 1 {
		if count&1 != 0 {
			gone = gone * base % sumPrime
		}
		base = base * base % sumPrime
	}
	return sum((uint64(s) + sumPrime - gone) % sumPrime)
}

// check is what positions have of it.
func (s sum) check() uint32 { return position.CheckOf(uint32(s)) }
