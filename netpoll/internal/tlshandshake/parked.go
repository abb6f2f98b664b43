package tlshandshake

import (
	"bytes"
	"crypto/tls"
	"errors"
	"iter"
	"net"
	"sync"

	"roost/netpoll/internal/tlsrecord"
)

// parked is a handshake that crypto/tls does from its beginning to its end: TLS 1.2, client certificates, and everything
// where the light way does not work. It runs as a coroutine on the worker that calls Run, and stands still where it
// needs a record that has not come: no goroutine of the scheduler's is blocked, though its stack is kept.
type parked struct {
	t    *transport
	keys secrets
	conn *tls.Conn
	err  error // of the handshake, once it is over
	next func() (struct{}, bool)
	stop func()
	sent []byte // every record since the secrets are known
	took int    // bytes that crypto/tls was given: it keeps a message of up to 256 KB until that is whole
}

// parkedBytes is about what a parked handshake holds: the stack, the hello, the keys under way.
// BenchmarkHalfOpen measures it.
const parkedBytes = 28 << 10

var errStopped = errors.New("tls: the handshake was given up")

// park starts crypto/tls with the ClientHello that came.
func (h *Handshake) park() (Status, error) {
	p := &parked{t: &transport{whole: true}}
	config := h.server.config.Load().Clone()
	config.KeyLogWriter = &p.keys
	p.conn = tls.Server(p.t, config)
	p.next, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		p.t.empty = func() error {
			if !yield(struct{}{}) {
				return errStopped
			}
			return nil
		}
		p.err = p.conn.Handshake()
	})
	h.parked = p
	return h.resume()
}

// resume goes on with what came until crypto/tls needs more.
func (h *Handshake) resume() (Status, error) {
	p := h.parked
	p.t.in, h.buf = h.buf, nil
	given := len(p.t.in)
	_, goesOn := p.next()
	p.took += given - len(p.t.in)
	h.buf = bytes.Clone(p.t.in)
	p.t.in = nil
	out := p.t.take()
	h.out = append(h.out, out...)
	if p.keys.server != nil {
		p.sent = append(p.sent, out...) // ConnectionState has to wait until crypto/tls is done: it holds the lock
	}
	switch {
	case goesOn:
		h.stage = stageParked
		return h.next()
	case p.err != nil:
		return h.failed(explain(p.err, p.readable(out)))
	}
	return h.unpark()
}

// countSent counts the records that this side has sealed with the application key, by trying each: session
// tickets, which come last.
func (p *parked) countSent(suite uint16) (int, error) {
	app, err := tlsrecord.NewReader(suite, p.keys.server)
	if err != nil {
		return 0, err
	}
	cache, count := tlsrecord.NewCache(1), 0
	defer app.Wipe(cache)
	for n := completeRecord(p.sent); n > 0; n = completeRecord(p.sent) {
		if p.sent[0] == typeApplicationData {
			// Opening in place destroys what can't be opened, and that is not needed any more.
			if _, _, err := app.OpenRecord(p.sent[:n], cache); err == nil {
				count++
			} else if count > 0 {
				return 0, errors.New("a record under the application key can't be opened")
			}
		}
		p.sent = p.sent[n:]
	}
	return count, nil
}

// readable is what was written at last, where it can be read: an alert of TLS 1.3 after the server's Finished is sealed.
func (p *parked) readable(out []byte) []byte {
	if p.keys.server == nil || completeRecord(out) == 0 || out[0] != typeApplicationData {
		return out
	}
	app, err := tlsrecord.NewReader(p.conn.ConnectionState().CipherSuite, p.keys.server)
	if err != nil {
		return out
	}
	cache := tlsrecord.NewCache(0)
	defer app.Wipe(cache)
	typ, content, err := app.OpenRecord(bytes.Clone(out[:completeRecord(out)]), cache)
	if err != nil || typ != typeAlert || len(content) != 2 {
		return out
	}
	return plainAlert(tlsrecord.Alert(content[1]))
}

// unpark makes of a handshake that is over what the connection goes on with.
func (h *Handshake) unpark() (Status, error) {
	p := h.parked
	state := p.conn.ConnectionState()
	r := resultOf(state)
	if h.server.heavy == nil && state.Version == tls.VersionTLS13 {
		app, err := tlsrecord.New(state.CipherSuite, p.keys.client, p.keys.server)
		if err != nil {
			return h.fail(tlsrecord.Violation(tlsrecord.AlertInternalError, err.Error()))
		}
		sent, err := p.countSent(state.CipherSuite)
		if err != nil {
			return h.fail(tlsrecord.Violation(tlsrecord.AlertInternalError, err.Error()))
		}
		app.SkipSent(sent)
		r.Light = app
		p.wipe()
		return h.done(r)
	}
	p.t.whole = false
	p.t.empty = func() error { return wait{} }
	p.wipe()
	r.Heavy = &Heavy{conn: p.conn, t: p.t}
	return h.done(r)
}

func (p *parked) close() {
	p.stop()
	p.wipe()
}

func (p *parked) wipe() {
	p.keys.wipe()
	clear(p.sent)
	p.sent = nil
}

// alertNumbers finds an alert by the text that crypto/tls has for it, as its type is not exported.
var alertNumbers = sync.OnceValue(func() map[string]tlsrecord.Alert {
	numbers := map[string]tlsrecord.Alert{}
	for a := range 256 {
		numbers[tls.AlertError(a).Error()] = tlsrecord.Alert(a)
	}
	return numbers
})

// explain makes an Error of what crypto/tls said and wrote, so that failures can be counted by alert.
func explain(err error, out []byte) error {
	if errors.Is(err, errStopped) {
		return err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		if a, known := alertNumbers()[op.Err.Error()]; known {
			return &tlsrecord.Error{Alert: a, Remote: op.Op == "remote error", Text: "the handshake"}
		}
	}
	alert := tlsrecord.AlertInternalError
	for n := completeRecord(out); n > 0; n = completeRecord(out) {
		if out[0] == typeAlert && n == headerLen+2 {
			alert = tlsrecord.Alert(out[headerLen+1])
		}
		out = out[n:]
	}
	return &tlsrecord.Error{Alert: alert, Text: trimmed(err)}
}

func trimmed(err error) string {
	text := err.Error()
	if len(text) > 5 && text[:5] == "tls: " {
		text = text[5:]
	}
	return text
}
