package tlsrecord

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// stateVersion is the first byte of what AppendState writes.
const stateVersion = 1

// ErrState means that bytes are not what AppendState has written.
var ErrState = errors.New("not the state of a TLS record layer")

// AppendState appends what another process needs to go on with the connection: suite, secrets, counters, flags; 79 or 111
// bytes. It is as secret as the keys are. Only one of the two may go on: two Conns of one state would use each nonce twice.
func (c *Conn) AppendState(dst []byte) []byte {
	var buf [48]byte
	dst = append(dst, stateVersion, byte(c.suite), byte(c.flags), c.begun, c.idle, c.credit, c.earned)
	for d := range direction(2) {
		dst = binary.BigEndian.AppendUint32(dst, c.half(d).seq)
		dst = append(dst, c.secretOf(d, &buf)...)
	}
	clear(buf[:])
	return dst
}

// FromState returns the record layer whose state that is, all of b. It copies what it keeps. Errors wrap ErrState.
func FromState(b []byte) (*Conn, error) {
	const head = 7
	switch {
	case len(b) < head:
		return nil, fmt.Errorf("%w: %d bytes", ErrState, len(b))
	case b[0] != stateVersion:
		return nil, fmt.Errorf("%w: version %d, not %d", ErrState, b[0], stateVersion)
	case Suite(b[1]) > chacha20poly:
		return nil, fmt.Errorf("%w: suite %d", ErrState, b[1])
	}
	c := &Conn{suite: Suite(b[1]), flags: flags(b[2]), begun: b[3], idle: b[4], credit: b[5], earned: b[6]}
	n := 4 + c.suite.secretLen()
	switch {
	case len(b) != head+2*n:
		return nil, fmt.Errorf("%w: %d bytes of %v", ErrState, len(b), c.suite)
	case int(c.begun) > len(keyUpdate) || c.credit > maxCredit || c.idle > maxIdle+1 || c.earned >= creditPer:
		return nil, fmt.Errorf("%w: a counter is out of its bounds", ErrState)
	}
	if c.suite.secretLen() > len(c.in.secret) {
		c.tails = new(tails)
	}
	for d, rest := reading, b[head:]; d <= writing; d, rest = d+1, rest[n:] {
		if err := c.setSecret(d, rest[4:n]); err != nil {
			return nil, err
		}
		c.half(d).seq = binary.BigEndian.Uint32(rest)
	}
	return c, nil
}
