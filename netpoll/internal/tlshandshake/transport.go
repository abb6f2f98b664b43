package tlshandshake

import (
	"net"
	"time"
)

// transport is what crypto/tls has for a socket.
type transport struct {
	in  []byte
	out []byte

	// whole makes Read hand out complete records, and one in a call, so that crypto/tls has
	// nothing in its buffers of what comes after the last record of the handshake.
	whole bool
	left  int // of the record that is being handed out

	// empty is called when there is nothing to hand out. It says what Read returns; nil means that there is more now.
	empty func() error
}

func (t *transport) Read(p []byte) (int, error) {
	for !t.ready() {
		if err := t.empty(); err != nil {
			return 0, err
		}
	}
	n := len(t.in)
	if t.whole {
		n = t.left
	}
	n = copy(p, t.in[:n])
	t.in = t.in[n:]
	t.left -= n
	return n, nil
}

// ready reports whether there is something to hand out.
func (t *transport) ready() bool {
	if !t.whole || t.left > 0 {
		return len(t.in) > 0
	}
	t.left = completeRecord(t.in)
	return t.left > 0
}
func (t *transport) Write(p []byte) (int, error) {
	t.out = append(t.out, p...)
	return len(p), nil
}

// take returns what was written since the last call.
func (t *transport) take() []byte {
	out := t.out
	t.out = nil
	return out
}

func (t *transport) Close() error                     { return nil }
func (t *transport) LocalAddr() net.Addr              { return nil }
func (t *transport) RemoteAddr() net.Addr             { return nil }
func (t *transport) SetDeadline(time.Time) error      { return nil }
func (t *transport) SetReadDeadline(time.Time) error  { return nil }
func (t *transport) SetWriteDeadline(time.Time) error { return nil }

// wait is the error of a read that found nothing. crypto/tls goes on after it, for reads and after the
// handshake: Conn.readRecordOrCCS keeps every error but a temporary net.Error.
type wait struct{}

func (wait) Error() string   { return "nothing to read yet" }
func (wait) Timeout() bool   { return true }
func (wait) Temporary() bool { return true }
