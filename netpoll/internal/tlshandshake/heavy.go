package tlshandshake

import (
	"crypto/tls"
	"errors"
	"io"
	"net"

	"roost/netpoll/internal/tlsrecord"
)

// Heavy is a connection that crypto/tls goes on serving, 7.7 KB with its buffers, but with no goroutine: TLS 1.2, and
// everything where the light way does not work. Its methods are those of tlsrecord.Conn as far as
// they can be. One goroutine at a time.
type Heavy struct {
	conn    *tls.Conn
	t       *transport
	most    int           // bytes that it was given at once; crypto/tls keeps a buffer for as much
	records recordCounter // of what came
	again   int           // bytes of handshake records
	closed  bool
}

const (
	// heavyBytes is what a Heavy holds at least.
	heavyBytes = 8 << 10

	// maxAgain is how much may come of a handshake after the handshake. crypto/tls ends a client of TLS 1.2 that renegotiates,
	// but would keep up to 64 KB of a message that does not become whole.
	maxAgain = 2 << 10
)

// Held is about how many bytes of memory the connection holds.
func (h *Heavy) Held() int { return heavyBytes + h.most }

// countAgain counts handshake records in what came. In TLS 1.3 these look like data.
func (h *Heavy) countAgain(in []byte) error {
	if h.again += h.records.handshakeBytes(in); h.again > maxAgain {
		return tlsrecord.Violation(tlsrecord.AlertUnexpectedMessage, "a long handshake message after the handshake")
	}
	return nil
}

// Open decrypts what came and appends the data to dst. It takes all of in; what is incomplete stays inside. Errors are those of
// tlsrecord.Conn.Open; an alert that crypto/tls has written is in Output then.
func (h *Heavy) Open(dst, in []byte) ([]byte, error) {
	if h.conn == nil {
		return dst, nil
	}
	h.most = max(h.most, len(in))
	if err := h.countAgain(in); err != nil {
		h.closed = true
		return dst, err
	}
	h.t.in = in
	defer func() { h.t.in = nil }()
	for {
		if cap(dst)-len(dst) < 512 {
			dst = append(dst, make([]byte, max(512, len(in)))...)[:len(dst)]
		}
		n, err := h.conn.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case err == nil:
		case errors.Is(err, wait{}):
			return dst, nil
		case errors.Is(err, io.EOF):
			return dst, tlsrecord.ErrCloseNotify
		default:
			h.closed = true
			return dst, explain(err, nil)
		}
	}
}

// Seal appends to dst the records that carry plaintext, after what Output would return.
func (h *Heavy) Seal(dst, plaintext []byte) ([]byte, error) {
	if h.closed {
		return dst, tlsrecord.ErrClosed
	}
	_, err := h.conn.Write(plaintext)
	dst = append(dst, h.Output()...)
	if errors.Is(err, net.ErrClosed) {
		err = tlsrecord.ErrClosed
	}
	return dst, err
}

// Output returns what crypto/tls has written by itself: alerts, and answers to KeyUpdates. Send it after Open.
func (h *Heavy) Output() []byte {
	if h.t == nil {
		return nil
	}
	return h.t.take()
}

// CloseNotify appends close_notify, once; nothing can be sent after it.
func (h *Heavy) CloseNotify(dst []byte) []byte {
	if !h.closed {
		h.closed = true
		_ = h.conn.CloseWrite()
	}
	return append(dst, h.Output()...)
}

// Wipe lets go of everything.
func (h *Heavy) Wipe() { *h = Heavy{closed: true} }
