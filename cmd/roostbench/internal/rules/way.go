package rules

import (
	"fmt"
	"strings"
)

// way is how the bytes of a case are cut into writes.
type way struct {
	name   string
	pieces []string
}

const (
	// splitEverywhere is up to how many bytes a case is split in two at every one
	// of them.
	splitEverywhere = 64
	// byteByByte is up to how many bytes a case is sent one at a time.
	byteByByte = 2000
)

// ways are all ways of sending something: what comes must not depend on them. The
// first is as the case has it.
func ways(send []string, everywhere bool) []way {
	whole := strings.Join(send, "")
	all := []way{{"as it is", send}}
	if len(send) > 1 {
		all = append(all, way{"in one piece", []string{whole}})
	}
	if len(whole) > 1 && len(whole) <= byteByByte {
		one := way{name: "byte by byte"}
		for i := range len(whole) {
			one.pieces = append(one.pieces, whole[i:i+1])
		}
		all = append(all, one)
	}
	if everywhere || len(whole) <= splitEverywhere {
		for i := 1; i < len(whole); i++ {
			all = append(all, way{fmt.Sprintf("split after %d", i), []string{whole[:i], whole[i:]}})
		}
	}
	return all
}
