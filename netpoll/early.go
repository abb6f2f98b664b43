package netpoll

import (
	"unsafe"

	"roost/wsproto"
)

// maxEarly bounds the bytes that are kept for a client that sends frames before
// it has got its 101: RFC 6455 section 4.1 has it wait.
const maxEarly = wsproto.MaxHead

// asked is a request that can't be answered in the turn that brought it.
type asked struct {
	req   wsproto.Request // static; it holds nothing of the loop's buffers
	early []byte          // the loop's: what came behind the head

	counted bool // the loop's: it is in the gauge of those that wait for the feed
}

// size is how many bytes are kept for it.
func (a *asked) size() int { return askedSize + a.req.Size() + cap(a.early) }

// askedSize is that of an asked, and of what holds it.
const askedSize = int(unsafe.Sizeof(check{}))

// keepEarly keeps what a client sends that has not got its answer yet.
func (l *loop) keepEarly(c *conn, a *asked, b []byte) {
	if len(a.early)+len(b) > maxEarly {
		l.reject(c, a.req, wsproto.RefuseEarly())
		return
	}
	a.early = append(a.early, b...)
	l.keep(c, a.size())
}
