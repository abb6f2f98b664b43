package tlshandshake

// recordCounter follows the records of a stream that comes in pieces, of which a record may end, or begin, anywhere: RFC 8446
// section 5.1. The zero value is at the beginning of a record.
type recordCounter struct {
	header [headerLen]byte // of the record that has begun
	have   int             // bytes of header so far
	left   int             // bytes of the record's body to come, once the header is whole
}

// handshakeBytes takes the next piece, and returns how many bytes of handshake records are in it.
func (c *recordCounter) handshakeBytes(piece []byte) (n int) {
	for len(piece) > 0 {
		var part int
		if c.have < headerLen {
			part = copy(c.header[c.have:], piece)
			if c.have += part; c.have == headerLen {
				c.left = int(c.header[3])<<8 | int(c.header[4])
			}
		} else {
			part = min(c.left, len(piece))
			c.left -= part
		}
		if c.header[0] == typeHandshake {
			n += part
		}
		if c.have == headerLen && c.left == 0 {
			c.have = 0
		}
		piece = piece[part:]
	}
	return n
}
