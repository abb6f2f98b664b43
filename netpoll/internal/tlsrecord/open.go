package tlsrecord

import (
	"errors"
	"strconv"
)

// maxIdle is how many records in a row may carry no data: empty ones, KeyUpdates, ignored alerts.
const maxIdle = 32

// ErrCloseNotify means that the other side has ended its direction in order.
var ErrCloseNotify = errors.New("tls: close_notify")

// Open decrypts the complete records at the start of in, in place. plaintext is their data in one
// piece, and may be empty; rest is the beginning of a record whose
// other bytes have not come, which the caller keeps and puts before what comes next. Both are parts of in.
// At most maxRecord+4 bytes ever wait: a header that announces more is an error at once.
//
// With an error plaintext is still what came before it. ErrCloseNotify: answer with CloseNotify and end.
// *Error: the connection is over; where it is not Remote, SealAlert its Alert first. Everything after an
// error is ignored, as RFC 8446 section 6.1 says.
func (c *Conn) Open(in []byte, cache *Cache) (plaintext, rest []byte, err error) {
	start, end, pos := 0, 0, 0
	for c.flags&flagNoRead == 0 {
		n, err := recordLen(in[pos:])
		if err != nil {
			return in[start:end], nil, c.ended(err)
		}
		if n == 0 || len(in)-pos < n {
			return in[start:end], in[pos:], nil
		}
		typ, content, err := c.OpenRecord(in[pos:pos+n], cache)
		if err == nil && typ == typeApplicationData && c.begun == 0 {
			if start == end { // the first: it stays where it is
				start = pos + headerLen
				end = start
			}
			end += copy(in[end:], content)
		}
		if err == nil {
			err = c.take(typ, content)
		}
		if err != nil {
			return in[start:end], nil, c.ended(err)
		}
		pos += n
	}
	return in[start:end], nil, nil
}

func (c *Conn) ended(err error) error {
	c.flags |= flagNoRead
	return err
}

// recordLen is how long the record at the start of b is, with its header, and 0 while that is not known.
func recordLen(b []byte) (int, error) {
	if len(b) > 0 && b[0] != typeApplicationData {
		// RFC 8446 section 5: once the handshake is over everything is protected, and a
		// change_cipher_spec is no longer ignored.
		return 0, Violation(AlertUnexpectedMessage, "an unprotected record of type "+strconv.Itoa(int(b[0])))
	}
	if len(b) < headerLen {
		return 0, nil
	}
	n := int(b[3])<<8 | int(b[4]) // b[1] and b[2], a version, mean nothing: section 5.1
	if n > maxRecord {
		return 0, Violation(AlertRecordOverflow, "a record of "+strconv.Itoa(n)+" bytes")
	}
	return headerLen + n, nil
}

// OpenRecord decrypts one whole protected record in place, header included, and returns its inner type
// and content. It looks at neither: Open is what follows the protocol; this is for the end of
// the handshake. After an error the record's bytes are gone, and the sequence number has not moved.
func (c *Conn) OpenRecord(record []byte, cache *Cache) (typ byte, content []byte, err error) {
	if c.in.seq == 1<<32-1 {
		// Section 5.3: rekey or terminate. The other side was asked to, 2^32-2^24 records ago.
		return 0, nil, Violation(AlertInternalError, "the client never renewed its key")
	}
	keyed, err := cache.keyed(c, reading)
	if err != nil {
		return 0, nil, Violation(AlertInternalError, err.Error())
	}
	header, sealed := record[:headerLen], record[headerLen:]
	inner, err := keyed.aead.Open(sealed[:0], cache.setNonce(&keyed.iv, c.in.seq), sealed, header)
	if err != nil {
		return 0, nil, Violation(AlertBadRecordMAC, "a record can't be decrypted")
	}
	c.in.seq++
	if len(inner) > maxPlaintext+1 {
		return 0, nil, Violation(AlertRecordOverflow, "a record whose content and padding have "+strconv.Itoa(len(inner))+" bytes")
	}
	// Section 5.4: the type is the last byte that is not zero.
	i := len(inner) - 1
	for i >= 0 && inner[i] == 0 {
		i--
	}
	if i < 0 {
		return 0, nil, Violation(AlertUnexpectedMessage, "a record of padding alone")
	}
	return inner[i], inner[:i], nil
}

// take follows the protocol for one decrypted record.
func (c *Conn) take(typ byte, content []byte) error {
	// RFC 8446 section 5.1: nothing comes between the pieces of a handshake message.
	if c.begun != 0 && typ != typeHandshake {
		return Violation(AlertUnexpectedMessage, "a record between two parts of a handshake message")
	}
	if typ == typeApplicationData && len(content) > 0 {
		c.idle = 0
		c.earn()
		return nil
	}
	if c.idle++; c.idle > maxIdle {
		return Violation(AlertUnexpectedMessage, "more than "+strconv.Itoa(maxIdle)+" records without data")
	}
	switch typ {
	case typeApplicationData: // empty: section 5.1 allows it
		return nil
	case typeAlert:
		if len(content) == 0 {
			return Violation(AlertUnexpectedMessage, "an empty alert") // section 5.4
		}
		return receivedAlert(content)
	case typeHandshake:
		return c.receivedHandshake(content)
	}
	// Section 5: a protected change_cipher_spec, and every type there is not.
	return Violation(AlertUnexpectedMessage, "a protected record of type "+strconv.Itoa(int(typ)))
}
