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
	// mostFramePieces and mostHeadPieces are into how many pieces a case is cut: a
	// byte each where there are that few. A server may take a frame in a hundred
	// pieces for a flood.
	mostFramePieces = 64
	mostHeadPieces  = 2000
)

// ways are all ways of sending something: what comes must not depend on them. The
// first is as the case has it.
func ways(c Case, send []string) []way {
	whole, most := strings.Join(send, ""), mostFramePieces
	if c.Group == Handshake {
		most = mostHeadPieces
	}
	all := []way{{"as it is", send}}
	if len(send) > 1 {
		all = append(all, way{"in one piece", []string{whole}})
	}
	if size := (len(whole) + most - 1) / most; len(whole) > 1 {
		name := fmt.Sprintf("%d bytes at a time", size)
		if size == 1 {
			name = "byte by byte"
		}
		all = append(all, way{name, pieces(whole, size)})
	}
	if c.Everywhere || len(whole) <= splitEverywhere {
		for i := 1; i < len(whole); i++ {
			all = append(all, way{fmt.Sprintf("split after %d", i), []string{whole[:i], whole[i:]}})
		}
	}
	return all
}

// pieces cuts text into pieces of a size.
func pieces(text string, size int) []string {
	var all []string
	for len(text) > size {
		all, text = append(all, text[:size]), text[size:]
	}
	return append(all, text)
}
