package tlshandshake

import (
	"crypto/tls"
	"errors"

	"roost/netpoll/internal/tlsrecord"
)

// Status says what a handshake waits for.
type Status uint8

const (
	NeedInput Status = iota // bytes of the client: Feed
	NeedRun                 // CPU: Run, on a worker
	Done                    // nothing: Result
)

// Handshake is one connection's. One goroutine at a time may use it: the loop feeds it, and
// hands it to a worker while it needs to be run.
type Handshake struct {
	server *Server
	buf    []byte // what came and was not used
	out    []byte // what has to be sent
	stage  stage
	scan   scan
	retry  *retry  // after a HelloRetryRequest
	finish *finish // light: the client's last flight
	parked *parked // otherwise: crypto/tls, stopped where it needs more
	result Result
}

type stage uint8

const (
	stageHello  stage = iota // the ClientHello comes
	stageRun                 // it is complete
	stageFinish              // light: the client's Finished comes
	stageParked              // crypto/tls waits for a record
	stageResume              // a record for it is complete
	stageDone
	stageFailed
)

// Result is what is left of a handshake.
type Result struct {
	// One of these is set. Light is TLS 1.3, Heavy is TLS 1.2, or every version where the light way does not work.
	Light *tlsrecord.Conn
	Heavy *Heavy

	// Leftover is what came after the handshake: give it to Open first.
	Leftover []byte

	Version, Suite uint16 // as crypto/tls numbers them
	Resumed        bool   // by a session ticket
	Protocol       string // by ALPN; empty where the client offered none
	ServerName     string // that the client asked for
}

// Start begins a handshake. It costs nothing until bytes come.
func (s *Server) Start() *Handshake { return &Handshake{server: s} }

// maxEarly is how much may come before what is complete was run. Nothing has to: the client waits for an answer.
const maxEarly = 1 << 16

// ErrEnded means that the handshake is over, well or badly.
var ErrEnded = errors.New("tls: the handshake is over")

// Feed takes bytes of the client, copies what it keeps, and never takes long: it
// is for the loop. After an error send Output, which has the alert, and end the connection. The errors are ErrHTTP,
// ErrNotTLS, and *tlsrecord.Error.
func (h *Handshake) Feed(in []byte) (Status, error) {
	switch h.stage {
	case stageRun, stageResume:
		if h.buf = append(h.buf, in...); len(h.buf) > maxEarly {
			return h.fail(tlsrecord.Violation(tlsrecord.AlertUnexpectedMessage, "too much before the handshake went on"))
		}
		return NeedRun, nil
	case stageDone, stageFailed:
		return Done, ErrEnded
	}
	h.buf = append(h.buf, in...)
	return h.next()
}

// next looks at what is buffered.
func (h *Handshake) next() (Status, error) {
	switch h.stage {
	case stageHello:
		n, err := h.scan.find(h.buf, h.retry != nil)
		if err != nil {
			return h.fail(err)
		}
		if n == 0 {
			return NeedInput, nil
		}
		h.stage = stageRun
		return NeedRun, nil
	case stageFinish:
		return h.readFinished()
	case stageParked:
		if len(h.buf) >= headerLen && headerLen+int(h.buf[3])<<8+int(h.buf[4]) > headerLen+1<<14+2048 { // RFC 5246 section 6.2.3
			return h.fail(tlsrecord.Violation(tlsrecord.AlertRecordOverflow, "a record that is too long"))
		}
		if completeRecord(h.buf) == 0 {
			return NeedInput, nil
		}
		h.stage = stageResume
		return NeedRun, nil
	}
	return Done, ErrEnded
}

// Run does what takes long, 0.1 to 2 ms, and does not wait for anything. It is for a worker; meanwhile nobody may
// use the handshake. Errors are as Feed's.
func (h *Handshake) Run() (Status, error) {
	switch {
	case h.stage == stageResume:
		return h.resume()
	case h.stage != stageRun:
		return Done, ErrEnded
	case h.server.heavy != nil || h.server.config.Load().ClientAuth != tls.NoClientCert:
		return h.park()
	}
	return h.runLight()
}

// Output returns what has to be sent to the client now, and gives it to the caller.
func (h *Handshake) Output() []byte {
	out := h.out
	h.out = nil
	return out
}

// Result is valid once the status is Done.
func (h *Handshake) Result() Result { return h.result }

// Held is about how many bytes of memory the handshake holds, for the limit of all.
func (h *Handshake) Held() int {
	n := 200 + cap(h.buf) + cap(h.out)
	if h.finish != nil {
		n += finishBytes
	}
	if h.parked != nil {
		n += parkedBytes + 2*h.parked.took // a buffer that grows is up to twice as long as what is in it
	}
	return n
}

// Close lets go of everything. A handshake that is not Done has to be closed. Light and Heavy belong to whoever has
// the Result.
func (h *Handshake) Close() {
	if h.parked != nil {
		h.parked.close()
	}
	if h.finish != nil {
		h.finish.wipe()
	}
	if h.stage != stageDone {
		h.stage = stageFailed
	}
	h.buf, h.out, h.parked, h.finish, h.retry = nil, nil, nil, nil, nil
}

// done ends the handshake well.
func (h *Handshake) done(r Result) (Status, error) {
	r.Leftover, h.buf = h.buf, nil
	h.stage, h.result, h.finish, h.parked = stageDone, r, nil, nil
	return Done, nil
}

// fail ends the handshake, before there are keys.
func (h *Handshake) fail(err error) (Status, error) {
	var alert *tlsrecord.Error
	if errors.As(err, &alert) && !alert.Remote {
		h.out = append(h.out, plainAlert(alert.Alert)...)
	}
	return h.failed(err)
}

// failed ends the handshake; the alert was written already.
func (h *Handshake) failed(err error) (Status, error) {
	out := h.out
	h.Close()
	h.stage, h.out = stageFailed, out
	return Done, err
}
