package wsproto

import "unicode/utf8"

// utf8Check checks a text that comes in pieces. It fails at the first byte that
// can't belong to valid UTF-8 (RFC 6455 section 8.1). The zero value is ready.
type utf8Check struct {
	tail [utf8.UTFMax - 1]byte // start of a rune whose rest has not come
	n    uint8                 // bytes of tail in use
}

// write takes the next piece and reports whether all so far can be valid.
func (c *utf8Check) write(p []byte) bool {
	for c.n > 0 && len(p) > 0 {
		if !c.finish(p[0]) {
			return false
		}
		p = p[1:]
	}
	whole := len(p) - unfinished(p)
	if !utf8.Valid(p[:whole]) {
		return false
	}
	if whole < len(p) {
		c.n = uint8(copy(c.tail[:], p[whole:]))
	}
	return true
}

// finish adds a byte to the rune in tail.
func (c *utf8Check) finish(b byte) bool {
	var buf [utf8.UTFMax]byte
	n := copy(buf[:], c.tail[:c.n])
	buf[n] = b
	n++
	if !utf8.FullRune(buf[:n]) { // true for a wrong rune too
		c.tail[c.n] = b
		c.n++
		return true
	}
	_, size := utf8.DecodeRune(buf[:n])
	c.n = 0
	return size == n
}

// complete reports whether the text may end here.
func (c *utf8Check) complete() bool { return c.n == 0 }

// unfinished returns how many bytes at the end of p start a rune that may be
// completed by what follows.
func unfinished(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		end := p[len(p)-n:]
		if !utf8.RuneStart(end[0]) {
			continue
		}
		if utf8.FullRune(end) {
			return 0
		}
		return n
	}
	return 0
}
