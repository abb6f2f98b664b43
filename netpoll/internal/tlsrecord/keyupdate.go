package tlsrecord

import "strconv"

// A client that sends KeyUpdates makes this side derive keys, 4 µs for 27 bytes (BenchmarkKeyUpdate). It may send
// maxCredit of them at once, and one more for each creditPer records with data, which cost it as much
// as they cost this side.
const (
	maxCredit = 16
	creditPer = 16
)

// Handshake messages (RFC 8446 section 4). KeyUpdate is the only one that a client may send after
// the handshake to a server that does not ask for certificates later.
const messageKeyUpdate = 24

// keyUpdate is a KeyUpdate as it is sent, but for the last byte: 1 asks for one in return.
var keyUpdate = [4]byte{messageKeyUpdate, 0, 0, 1}

// receivedHandshake takes a handshake record. A KeyUpdate may come in pieces, which have
// to be the whole of the records they come in (RFC 8446 section 5.1): nothing
// may follow it under the old key.
func (c *Conn) receivedHandshake(content []byte) error {
	if len(content) == 0 {
		return Violation(AlertUnexpectedMessage, "an empty handshake record") // section 5.4
	}
	if c.begun == 0 && content[0] != messageKeyUpdate {
		return Violation(AlertUnexpectedMessage, "a handshake message of type "+strconv.Itoa(int(content[0]))+" after the handshake")
	}
	for len(content) > 0 && int(c.begun) < len(keyUpdate) {
		if content[0] != keyUpdate[c.begun] {
			return Violation(AlertDecodeError, "a KeyUpdate of a wrong length")
		}
		content = content[1:]
		c.begun++
	}
	switch {
	case len(content) == 0:
		return nil // the rest comes in the next record
	case len(content) > 1:
		return Violation(AlertUnexpectedMessage, "a handshake message after a KeyUpdate, under its old key")
	case content[0] > 1:
		return Violation(AlertIllegalParameter, "a KeyUpdate that asks for "+strconv.Itoa(int(content[0]))) // section 4.6.3
	case c.credit == 0:
		return Violation(AlertUnexpectedMessage, "too many KeyUpdates")
	}
	c.begun = 0
	c.credit--
	if content[0] == 1 {
		// Answered with one KeyUpdate, however often it was asked for before this side sends: section 4.6.3.
		c.flags |= flagUpdateOwed
	}
	c.flags &^= flagUpdateWanted | flagUpdateAsked
	if err := c.nextSecret(reading); err != nil {
		return Violation(AlertInternalError, err.Error())
	}
	return nil
}

// earn counts a record with data.
func (c *Conn) earn() {
	if c.earned++; c.earned >= creditPer {
		c.earned = 0
		c.credit = min(c.credit+1, maxCredit)
	}
	if c.in.seq >= updateAfter && c.flags&flagUpdateAsked == 0 {
		c.flags |= flagUpdateWanted | flagUpdateAsked
	}
}

// sealDue appends the KeyUpdate that the client asked for, or that asks the client for one.
func (c *Conn) sealDue(dst []byte, cache *Cache) ([]byte, error) {
	if c.flags&(flagUpdateOwed|flagUpdateWanted) == 0 {
		return dst, nil
	}
	ask := c.flags&flagUpdateWanted != 0
	c.flags &^= flagUpdateOwed | flagUpdateWanted
	return c.SealKeyUpdate(dst, ask, cache)
}

// SealKeyUpdate appends a KeyUpdate under the present key, and goes on with the next one; ask asks the other side for
// one in return. Seal calls it by itself where one is due.
func (c *Conn) SealKeyUpdate(dst []byte, ask bool, cache *Cache) ([]byte, error) {
	if c.flags&flagNoWrite != 0 {
		return dst, ErrClosed
	}
	message := [5]byte{messageKeyUpdate, 0, 0, 1, 0}
	if ask {
		message[4] = 1
	}
	dst, err := c.sealRecord(dst, typeHandshake, message[:], cache)
	if err == nil {
		err = c.nextSecret(writing)
	}
	if err != nil {
		c.flags |= flagNoWrite
	}
	return dst, err
}
