package tlscert

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// TicketKeys reads the keys of session tickets: a line for each, 32 bytes in base64 or hexadecimal; # begins a comment. The first
// one is for new tickets, and tickets of all are taken: to rotate, put a new line first and drop the last. Errors name the line and never show it.
func TicketKeys(text string) (keys [][32]byte, err error) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		b, err := hex.DecodeString(line)
		if err != nil {
			b, err = base64.StdEncoding.DecodeString(line)
		}
		if err != nil || len(b) != 32 {
			return nil, fmt.Errorf("line %d is not 32 bytes in base64 or hexadecimal: openssl rand -base64 32 makes a key", number)
		}
		keys = append(keys, [32]byte(b))
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key: openssl rand -base64 32 makes one")
	}
	return keys, nil
}
