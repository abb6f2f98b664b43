package redispub

import (
	"errors"
	"fmt"
	"net/netip"
)

// Shard is one node of a Redis Cluster, and the slots that it has, both ends included.
type Shard struct {
	First, Last int
	Redis       netip.AddrPort
}

// slots is how many there are.
const slots = 16384

var errShards = errors.New("a slot that no shard has")

// linkOf says for each slot which of the shards has it.
func linkOf(shards []Shard) ([]uint8, error) {
	at := make([]uint8, slots)
	known := 0
	for i, s := range shards {
		for slot := s.First; slot <= s.Last; slot++ {
			at[slot] = uint8(i)
			known++
		}
	}
	if known != slots {
		return nil, fmt.Errorf("%w: %v", errShards, shards)
	}
	return at, nil
}

// slotOf is a channel's: CRC16 with polynomial 0x1021, from 0 (Redis Cluster specification, Appendix A). The names here
// have no braces.
func slotOf(channel []byte) int {
	var crc uint16
	for _, b := range channel {
		crc ^= uint16(b) << 8
		for range 8 {
			carry := crc & 0x8000
			if crc <<= 1; carry != 0 {
				crc ^= 0x1021
			}
		}
	}
	return int(crc) % slots
}
