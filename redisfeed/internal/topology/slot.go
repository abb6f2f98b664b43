package topology

import "strings"

// Slots is how many there are in a Redis Cluster.
const Slots = 16384

// Slot is the slot of the channel whose name is prefix and name put together. The prefix has no braces. (Redis Cluster
// specification, "Hash tags": of a name with braces only what is between the first { and the } after it counts, unless
// that is nothing.)
func Slot(prefix, name string) uint16 {
	if open := strings.IndexByte(name, '{'); open >= 0 {
		if n := strings.IndexByte(name[open+1:], '}'); n > 0 {
			return crc16(0, name[open+1:open+1+n]) % Slots
		}
	}
	return crc16(crc16(0, prefix), name) % Slots
}

// crc16 goes on with a checksum: polynomial 0x1021, nothing reflected, from 0 (the specification's Appendix A).
func crc16(crc uint16, s string) uint16 {
	for i := range len(s) {
		crc ^= uint16(s[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
