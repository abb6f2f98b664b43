// Package position names places in the stream of notifications that Redis sends, so that a client which comes back can say
// up to where it has everything. It is for every instance: all that are subscribed to one Redis hear the same stream.
package position

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Position is a place in the stream: Count notifications behind a marker, which is a message that all instances heard. The
// zero value is no position. Values have no meaning beyond the bits that are named here.
type Position struct {
	Marker uint64 // of 60 bits, not 0
	Count  uint64 // of 36 bits: the notifications heard since the marker
	Check  uint32 // of 30 bits: a checksum chained over them, so that an instance that heard others notices

	// Partial says that nobody can go on from here: the client was in groups that only the instance it was connected to knew
	// of. Append writes PartialEnd in place of the last character, and Parse takes it for no position.
	Partial bool
}

// PartialEnd ends a position that is partial.
const PartialEnd = '.'

// IsPartial reports whether a client's position is partial.
func IsPartial(s string) bool { return len(s) == Size && s[Size-1] == PartialEnd }

const (
	markerBits, countBits, checkBits = 60, 36, 30

	// MaxCount bounds Position.Count.
	MaxCount = 1<<countBits - 1
)

// Size is the length of a position as clients get it, in letters, digits, "-" and "_", at the end perhaps PartialEnd:
// MarkerSize for the marker, then the count, then the check.
const (
	Size       = MarkerSize + (countBits+checkBits)/6
	MarkerSize = markerBits / 6
)

// MaxLag is how far one instance may hear behind another, so that clients which come to it from the other notice nothing.
const MaxLag = 2 * time.Second

// MaxSize is how long a position of any version may be.
const MaxSize = 24

// CheckOf returns what Position.Check keeps of a checksum.
func CheckOf(sum uint32) uint32 { return sum & (1<<checkBits - 1) }

// MarkerOf returns the marker that a message on the markers' channel stands for: the same on every instance.
func MarkerOf(message string) uint64 {
	sum := sha256.Sum256([]byte(message))
	return max(1, binary.BigEndian.Uint64(sum[:])>>(64-markerBits))
}

// alphabet is that of base64url (RFC 4648 section 5): it needs no escapes in addresses, JSON, sub-protocols and headers.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

var digits = func() (table [256]int8) {
	for i := range table {
		table[i] = -1
	}
	for i := range len(alphabet) {
		table[alphabet[i]] = int8(i)
	}
	return table
}()

// Append appends the position as clients get it, Size bytes.
func (p Position) Append(dst []byte) []byte {
	dst = appendBits(dst, p.Marker, markerBits)
	dst = appendBits(dst, p.Count, countBits)
	dst = appendBits(dst, uint64(p.Check), checkBits)
	if p.Partial {
		dst[len(dst)-1] = PartialEnd
	}
	return dst
}

// String returns the position as clients get it.
func (p Position) String() string { return string(p.Append(make([]byte, 0, Size))) }

// IsZero reports whether this is no position.
func (p Position) IsZero() bool { return p == Position{} }

func appendBits(dst []byte, n uint64, bits int) []byte {
	for bits -= 6; bits >= 0; bits -= 6 {
		dst = append(dst, alphabet[n>>bits&63])
	}
	return dst
}

// Parse reads what Append wrote. ok is false for everything else.
func Parse(s string) (p Position, ok bool) {
	if len(s) != Size {
		return Position{}, false
	}
	const countEnd = MarkerSize + countBits/6
	marker, ok1 := parseBits(s[:MarkerSize])
	count, ok2 := parseBits(s[MarkerSize:countEnd])
	check, ok3 := parseBits(s[countEnd:])
	if !ok1 || !ok2 || !ok3 || marker == 0 {
		return Position{}, false
	}
	return Position{Marker: marker, Count: count, Check: uint32(check)}, true
}

func parseBits(s string) (n uint64, ok bool) {
	for i := range len(s) {
		digit := digits[s[i]]
		if digit < 0 {
			return 0, false
		}
		n = n<<6 | uint64(digit)
	}
	return n, true
}

// Valid reports whether s can be a position of this version or another: 1 to MaxSize letters, digits, ".", "_" and "-".
func Valid(s []byte) bool {
	if len(s) == 0 || len(s) > MaxSize {
		return false
	}
	for _, c := range s {
		if digits[c] < 0 && c != '.' {
			return false
		}
	}
	return true
}
