//go:build linux

package handover

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// The messages that are no sections.
const (
	kindHello  = "hello"
	kindOffer  = "offer"
	kindDrain  = "drain"
	kindRefuse = "refuse"
	kindAccept = "accept"
	kindAck    = "ack"
	kindFinal  = "final"
	kindReady  = "ready"
	kindCommit = "commit"
	kindEnd    = "end"
)

// reserved reports whether a section can't have this name.
func reserved(kind string) bool {
	switch kind {
	case kindHello, kindOffer, kindDrain, kindRefuse, kindAccept, kindAck, kindFinal, kindReady, kindCommit, kindEnd:
		return true
	}
	return false
}

// New is the handover as the new process sees it. One goroutine uses it, except for Close.
type New struct {
	conn     *conn
	patience time.Duration
	sections uint32
	files    uint32
}

// ErrDrain is why there is no handover though both could: the connections are drained. The text around it is the old process's reason.
var ErrDrain = errors.New("the process before lets its connections go")

// Greet sends the old process a Hello over the inherited socket, which it closes, and returns its offer. The error wraps ErrDrain where only
// the listening sockets are to be taken, and ErrRefused where nothing is.
func Greet(inherited *os.File, hello Hello) (n *New, offer Offer, err error) {
	hello.Formats, hello.Pid = Formats(), os.Getpid()
	body, err := json.Marshal(hello)
	if err != nil {
		return nil, offer, fmt.Errorf("writing the greeting: %w", err)
	}
	first, err := open(inherited)
	if err != nil {
		return nil, offer, err
	}
	defer first.close()
	ends, err := pair()
	if err != nil {
		return nil, offer, err
	}
	defer func() { _ = ends[1].Close() }()
	own, err := open(ends[0])
	if err != nil {
		return nil, offer, err
	}
	n = &New{conn: own, patience: Patience}
	if err := first.send(message{kind: kindHello, body: body, files: []int{int(ends[1].Fd())}}, time.Now().Add(Patience)); err != nil {
		n.Close()
		return nil, offer, err
	}
	_ = ends[1].Close() // so that the old process's end is seen
	if offer, err = n.awaitOffer(); err != nil {
		n.Close()
		return nil, offer, err
	}
	return n, offer, nil
}

// awaitOffer receives the answer to Hello.
func (n *New) awaitOffer() (offer Offer, err error) {
	m, err := n.receive()
	if err != nil {
		return offer, err
	}
	m.closeFiles() // there are none
	switch m.kind {
	case kindOffer:
		return offer, readGreeting(m.body, &offer)
	case kindDrain:
		return offer, fmt.Errorf("%w: %s", ErrDrain, m.body)
	case kindRefuse:
		return offer, refused(string(m.body))
	}
	return offer, fmt.Errorf("the process before answers with %q", m.kind)
}

// Accept agrees to the offer.
func (n *New) Accept() error { return n.send(message{kind: kindAccept}) }

// Refuse says why this process does not take over, in place of Accept or Ready, and closes the socket. It can't be called after Ready.
func (n *New) Refuse(why error) {
	_ = n.send(message{kind: kindRefuse, body: reason(why)})
	n.Close()
}

// Receive hands each section to take, which owns the descriptors from then on, until the old process says that it was the last.
func (n *New) Receive(take func(kind string, body []byte, files []int) error) error {
	for {
		m, err := n.receive()
		if err != nil {
			return err
		}
		if m.kind == kindFinal {
			m.closeFiles()
			return n.checkFinal(m.body)
		}
		if err := n.take(m, take); err != nil {
			return err
		}
	}
}

// take has a section taken, and acknowledges its descriptors.
func (n *New) take(m message, take func(kind string, body []byte, files []int) error) error {
	if reserved(m.kind) {
		m.closeFiles()
		return fmt.Errorf("the process before says %q among the sections", m.kind)
	}
	n.sections++
	n.files += uint32(len(m.files))
	described := len(m.files) > 0
	if err := take(m.kind, m.body, m.files); err != nil {
		return err
	}
	if described {
		return n.send(message{kind: kindAck})
	}
	return nil
}

// checkFinal compares what has come with what was sent.
func (n *New) checkFinal(body []byte) error {
	if len(body) != 8 {
		return fmt.Errorf("the end of the sections has %d bytes, not 8", len(body))
	}
	sections, files := binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])
	if sections != n.sections || files != n.files {
		return fmt.Errorf("%d of %d sections and %d of %d descriptors have come", n.sections, sections, n.files, files)
	}
	return nil
}

// Ready says that this process has everything it needs, and waits for commit. With nil this process serves from now on, and the old one
// does not touch the connections any more. With an error the old process goes on, or has ended.
func (n *New) Ready() error {
	if err := n.send(message{kind: kindReady}); err != nil {
		return err
	}
	m, err := n.receive()
	if err != nil {
		m, err = n.lastLook(err)
	}
	if err != nil {
		return err
	}
	m.closeFiles() // there are none
	if m.kind != kindCommit {
		return fmt.Errorf("the process before says %q, not %q", m.kind, kindCommit)
	}
	return nil
}

// lastLook decides what a failure to receive means: first nothing more can be sent to this process, then it looks at what was.
func (n *New) lastLook(failed error) (message, error) {
	if err := n.conn.unix.CloseRead(); err != nil {
		return message{}, failed
	}
	m, err := n.conn.receive(time.Time{}) // what has come is there at once, or the end is: a process that stands still here has no doubt either
	if err != nil {
		return message{}, failed
	}
	return m, nil
}

// Late hands each section that comes after commit to take, until the old process has no more or has ended.
func (n *New) Late(take func(kind string, body []byte, files []int) error) error {
	for {
		m, err := n.conn.receive(time.Time{})
		if err != nil || m.kind == kindEnd {
			if gone(err) {
				return nil
			}
			return err
		}
		if err := n.take(m, take); err != nil {
			return err
		}
	}
}

// Close closes the socket. Any goroutine.
func (n *New) Close() { n.conn.close() }

func (n *New) send(m message) error {
	if err := n.conn.send(m, time.Now().Add(n.patience)); err != nil {
		return explainNew(err)
	}
	return nil
}

func (n *New) receive() (message, error) {
	m, err := n.conn.receive(time.Now().Add(n.patience))
	if err != nil {
		return m, explainNew(err)
	}
	return m, nil
}

// explainNew says why a message could not be sent or received.
func explainNew(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSilent
	case gone(err):
		return fmt.Errorf("the process before takes everything back, or has ended: %w", err)
	}
	return err
}
