package netpoll

import (
	"crypto/tls"
	"errors"

	"golang.org/x/sys/unix"

	"roost/netpoll/internal/tlshandshake"
	"roost/netpoll/internal/tlsrecord"
)

// After its TLS handshake a connection has a record layer: a tlsrecord.Conn for TLS 1.3, all of crypto/tls for 1.2. Neither
// is in conn, which plain connections would pay for: they are found by the descriptor.
//
// Nothing is sealed twice, so no nonce is used twice: only the holder of the loop's lock seals, tlsrecord adds one to the
// record's number before anything else, and what the kernel did not take is kept as ciphertext (sendqueue.AppendSealed). At
// most one record is sealed ahead of what the kernel takes, and it is counted in the send queue's memory.

const (
	// cachedCiphers is for how many connections a loop keeps cipher objects, at 1.3 KB a direction.
	cachedCiphers = 256

	// recordData is how much goes into one record, and so how much is sealed for one write: RFC 8446 section 5.1.
	recordData = 1 << 14

	// recordMost is how long a record can be, with its header: RFC 5246 section 6.2.3. Those of TLS 1.3 are shorter.
	recordHeader = 5
	recordMost   = recordHeader + recordData + 2048
)

// secure reports whether what is sent has to be sealed. A TLS connection is secure once its handshake is done.
func (c *conn) secure() bool {
	s := c.loop.server
	return c.state != stateClosed && (s.records.Get(c.fd) != nil || s.heavies.Get(c.fd) != nil)
}

// setSecure gives a connection its record layer.
func (c *conn) setSecure(r tlshandshake.Result) {
	s := c.loop.server
	if r.Light != nil {
		s.records.Set(c.fd, r.Light)
		c.loop.stats.TLS13.Add(1)
		return
	}
	h := &heavy{r.Heavy, r.Version, r.Suite}
	s.heavies.Set(c.fd, h)
	c.loop.stats.ofVersion(h.version).Add(1)
}

// wipe takes the record layer away and overwrites its keys, before the socket is closed.
func (c *conn) wipe() {
	l, s := c.loop, c.loop.server
	if record := s.records.Get(c.fd); record != nil {
		s.records.Set(c.fd, nil)
		record.Wipe(l.ciphers)
		l.stats.TLS13.Add(-1)
	}
	if h := s.heavies.Get(c.fd); h != nil {
		s.heavies.Set(c.fd, nil)
		h.Wipe()
		l.stats.ofVersion(h.version).Add(-1)
	}
}

// readSealed is read for a secure connection: it reads as much as completes the record that has begun.
func (c *conn) readSealed() {
	l := c.loop
	kept := c.startRecord()
	n, err := unix.Read(int(c.fd), l.sealedInput[kept:])
	switch {
	case n > 0:
		l.stats.BytesIn.Add(int64(n))
		c.open(kept, n)
	case err == unix.EAGAIN || err == unix.EINTR:
	default:
		c.closeNow(ReasonGone)
	}
}

// receivedRaw handles bytes that were read from the socket, in any state.
func (c *conn) receivedRaw(b []byte) {
	if !c.secure() {
		c.received(b)
		return
	}
	for len(b) > 0 && c.state != stateClosed {
		kept := c.startRecord()
		n := copy(c.loop.sealedInput[kept:], b)
		b = b[n:]
		c.open(kept, n)
	}
}

// startRecord copies what came of a record to the start of sealedInput, and returns how much that is.
func (c *conn) startRecord() (kept int) {
	if c.extra == nil {
		return 0
	}
	return copy(c.loop.sealedInput, c.extra.record)
}

// open handles what came from the client of a secure connection, from the beginning of a record on: in sealedInput are kept
// bytes of startRecord, and n more. They are decrypted in place.
func (c *conn) open(kept, n int) {
	l, s := c.loop, c.loop.server
	b := l.sealedInput[:kept+n]
	if kept > 0 {
		c.extra.record = c.extra.record[:0] // what is left of b is kept again
	}
	var plain, rest []byte
	var err error
	if record := s.records.Get(c.fd); record != nil {
		plain, rest, err = record.Open(b, l.ciphers)
	} else {
		b, rest = wholeRecords(b) // crypto/tls would keep the rest where nobody counts it
		plain, err = s.heavies.Get(c.fd).Open(l.opened[:0], b)
		l.opened = plain[:0]
	}
	if len(plain) > 0 {
		c.received(plain)
	}
	if c.state == stateClosed {
		return
	}
	if err != nil {
		c.openFailed(err)
		return
	}
	c.keepRecord(rest)
	c.answerKeyUpdate()
}

// wholeRecords divides b behind its last complete record. One that announces too much is for crypto/tls to refuse.
func wholeRecords(b []byte) (whole, rest []byte) {
	at := 0
	for len(b)-at >= recordHeader {
		n := recordHeader + int(b[at+3])<<8 + int(b[at+4])
		switch {
		case n > recordMost:
			return b, nil
		case len(b)-at < n:
			return b[:at], b[at:]
		}
		at += n
	}
	return b[:at], b[at:]
}

// openFailed ends a connection whose client has ended its direction, or broken TLS, or says that the server has.
func (c *conn) openFailed(err error) {
	if errors.Is(err, tlsrecord.ErrCloseNotify) {
		c.closeNow(ReasonGone)
		return
	}
	c.countTLSFailure(err)
	var violation *tlsrecord.Error
	if errors.As(err, &violation) && !violation.Remote && c.out == nil {
		_, _ = c.write(c.sealAlert(violation.Alert)) // behind half a record it could not be read
	}
	c.closeNow(ReasonTLS)
}

// keepRecord keeps what came of a record whose rest has not. It may close another connection, see boundHeld.
func (c *conn) keepRecord(rest []byte) {
	l := c.loop
	if len(rest) == 0 {
		if c.extra != nil && c.extra.record != nil {
			c.dropRecord()
			if c.state == stateOpen && c.extra.decoder.Idle() && !c.stream {
				c.putExtra()
			}
		}
		return
	}
	if c.extra == nil {
		c.extra = l.extras.get()
		c.extra.began = instantOf(l.server.now())
		c.extra.discardLeft = ignoredLimit // for an event stream
	}
	c.extra.record = append(c.extra.record[:0], rest...)
	if c.extra.hs != nil {
		c.extra.hs.growBytes()
		return
	}
	c.countHeld()
	l.boundHeld()
}

// held is how many bytes are kept of what has not come completely: of a record, and of a message that renews a token.
func (e *extra) held() int { return cap(e.record) + e.decoder.Kept() }

// countHeld counts that, of a connection that is not pending: until then it is counted with the handshake.
func (c *conn) countHeld() {
	l, e, held := c.loop, c.extra, c.extra.held()
	l.stats.RecordBytes.Add(int64(held - e.counted))
	e.counted = held
	switch {
	case held > 0 && !e.partial.InAny():
		l.partialInput.Append(&e.partial, c)
	case held == 0:
		e.partial.Remove()
	}
}

// dropRecord frees what is kept of a record.
func (c *conn) dropRecord() {
	c.extra.record = nil
	if c.extra.hs != nil {
		c.extra.hs.setBytes(c.extra.hs.keptBytes())
		return
	}
	c.countHeld()
}

// boundHeld closes the connections whose input has been incomplete for longest, while more than the loop's share
// of Rules.PendingTotal is kept of it. A client sends a record, or a token, at once: what stays incomplete is an attack, or a
// network that has stopped.
func (l *loop) boundHeld() {
	share := l.server.rules.Load().pendingShare
	for share > 0 && l.stats.RecordBytes.Load() > int64(share) && l.partialInput.Len() > 0 {
		c := l.partialInput.First()
		func() {
			defer c.guard() // it is not the connection that the loop is serving
			c.closeNow(ReasonUnfinished)
		}()
	}
}

// answerKeyUpdate sends the KeyUpdate that the client has asked for. If something waits, the next record goes behind it.
func (c *conn) answerKeyUpdate() {
	s := c.loop.server
	if c.out != nil || c.state == stateClosed {
		return
	}
	if record := s.records.Get(c.fd); record != nil && !record.Due() {
		return
	}
	if sealed, err := c.seal(nil); err == nil && len(sealed) > 0 {
		c.sendSealed(sealed)
	}
}

// seal returns what leaves for b: b itself without TLS, and else its records, in the loop's buffer. The caller has to write
// all of it, or keep what is left with AppendSealed, or end the connection.
func (c *conn) seal(b []byte) ([]byte, error) {
	l, s := c.loop, c.loop.server
	if c.state == stateClosed { // the record layer of its descriptor may be another client's by now
		return nil, tlsrecord.ErrClosed
	}
	var err error
	if record := s.records.Get(c.fd); record != nil {
		l.sealed, err = record.Seal(l.sealed[:0], b, l.ciphers)
		return l.sealed, err
	}
	if h := s.heavies.Get(c.fd); h != nil {
		if len(b) == 0 {
			return h.Output(), nil
		}
		l.sealed, err = h.Seal(l.sealed[:0], b)
		return l.sealed, err
	}
	return b, nil
}

// sealAlert returns a fatal alert. crypto/tls has written its own.
func (c *conn) sealAlert(alert tlsrecord.Alert) []byte {
	l, s := c.loop, c.loop.server
	if record := s.records.Get(c.fd); record != nil {
		return record.SealAlert(l.sealed[:0], alert, l.ciphers)
	}
	return s.heavies.Get(c.fd).Output()
}

// endStream sends close_notify, once: without it the client can't tell the end from a cut. It returns how many bytes of it
// the kernel has taken, and the others.
func (c *conn) endStream() (n int, rest []byte) {
	l, s := c.loop, c.loop.server
	if c.out != nil && c.out.Sealed() != nil {
		return 0, nil // it would land in the middle of a record
	}
	end := l.sealed[:0]
	switch record, h := s.records.Get(c.fd), s.heavies.Get(c.fd); {
	case record != nil:
		end = record.CloseNotify(end, l.ciphers)
	case h != nil:
		end = h.CloseNotify(end)
	}
	if len(end) == 0 { // none is due
		return 0, nil
	}
	n, err := c.write(end)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		return n, nil // the client is gone
	}
	return n, end[n:]
}

// sendSealed writes bytes that leave as they are: of the TLS handshake, or sealed. Those that the kernel does not take wait
// ahead of everything else.
func (c *conn) sendSealed(b []byte) {
	n := 0
	if c.out == nil || c.out.Sealed() == nil {
		var err error
		if n, err = c.write(b); err != nil && !errors.Is(err, unix.EAGAIN) {
			c.closeNow(ReasonWriteError)
			return
		}
	}
	if n < len(b) {
		c.keepSealed(b[n:])
	}
}

// keepSealed keeps what the kernel did not take of sealed bytes that carry no notification.
func (c *conn) keepSealed(rest []byte) {
	if c.out == nil {
		c.getQueue()
	}
	c.out.AppendSealed(rest, 0)
	c.stall()
}

// flushSealed is one step of flush for a secure connection: a record, or what is left of one. done says that there is
// nothing to do until epoll reports.
func (c *conn) flushSealed() (done bool) {
	l := c.loop
	sealed, data := c.out.Sealed(), 0
	fresh := sealed == nil
	if fresh {
		plain := c.out.Gather(l.scratch[:0:recordData])
		plain = plain[:min(len(plain), recordData)]
		var err error
		if sealed, err = c.seal(plain); err != nil {
			c.closeNow(ReasonWriteError)
			return true
		}
		data = len(plain)
	}
	n, err := c.write(sealed)
	if n > 0 {
		c.out.Progress.Resume()
	}
	switch {
	case fresh && n == len(sealed):
		c.countRecordSent(data)
	case fresh:
		c.out.AppendSealed(sealed[n:], data)
	case n > 0:
		c.countSealedSent(n)
	}
	switch {
	case err == nil && n == len(sealed):
		return false
	case err == nil || errors.Is(err, unix.EAGAIN):
		c.stall()
	default:
		c.closeNow(ReasonWriteError)
	}
	return true
}

// heavy is a connection that crypto/tls serves.
type heavy struct {
	*tlshandshake.Heavy
	version, suite uint16
}

// tlsText says the version and the cipher suite of a connection; "" without TLS.
func (c *conn) tlsText() string {
	s := c.loop.server
	if record := s.records.Get(c.fd); record != nil {
		return versionName(tls.VersionTLS13) + " " + suiteName(record.Suite())
	}
	if h := s.heavies.Get(c.fd); h != nil {
		return versionName(h.version) + " " + suiteName(h.suite)
	}
	return ""
}
