//go:build linux

package handover

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// Patience is how long one process waits for a sign of life of the other.
	Patience = 10 * time.Second
	// window is how many messages with descriptors may wait for their ack: descriptors on their way count against RLIMIT_NOFILE.
	window = 4
)

// errSilent is why a process gives up on the other.
var errSilent = fmt.Errorf("the other process says nothing for %s", Patience)

// wordsWait is how long the last words of a new process that has ended are waited for: they are there, or the end is.
const wordsWait = time.Second

// Old is the handover as the old process sees it. One goroutine uses it, except for Dismiss, Fail and Ended.
type Old struct {
	conn     *conn
	patience time.Duration
	words    time.Duration // wordsWait, but in tests
	sections uint32
	files    uint32
	unacked  int
	limit    time.Time // of everything until commit; zero: none

	reading chan struct{} // holds one value while a message is received: two readers would tear it apart

	mu      sync.Mutex // never held while waiting for reading
	greeted bool       // guarded by mu: the new process has sent its Hello
	cause   error      // guarded by mu: why the handover fails, by Fail or by the new process's own words
}

// NewOld makes the socket pair: Old has one end, the new process has to inherit the other, which the caller closes then.
func NewOld() (*Old, *os.File, error) {
	ends, err := pair()
	if err != nil {
		return nil, nil, err
	}
	c, err := open(ends[0])
	if err != nil {
		_ = ends[1].Close()
		return nil, nil, err
	}
	return &Old{conn: c, patience: Patience, words: wordsWait, reading: make(chan struct{}, 1)}, ends[1], nil
}

// Await waits for the new process's Hello, until Fail is called: a program without handovers sends none.
func (o *Old) Await() (h Hello, err error) {
	o.reading <- struct{}{}
	m, err := o.receive(time.Time{})
	<-o.reading
	if err != nil {
		return h, o.explain(err)
	}
	defer m.closeFiles()
	if m.kind != kindHello || len(m.files) != 1 {
		return h, fmt.Errorf("the new process begins with %q and %d descriptors", m.kind, len(m.files))
	}
	own, err := open(os.NewFile(uintptr(m.files[0]), "handover"))
	m.files = nil
	if err != nil {
		return h, err
	}
	// The inherited end is kept for as long as this process has it, by whatever started the new one. Of this socket pair only the new
	// process has the other end: sending fails once that is closed.
	o.mu.Lock()
	o.conn.close()
	o.conn, o.greeted = own, true
	failed := o.cause
	o.mu.Unlock()
	if failed != nil {
		own.close()
		return h, failed
	}
	return h, readGreeting(m.body, &h)
}

// Offer asks the new process to take over, and returns once it agrees.
func (o *Old) Offer(offer Offer) error {
	body, err := json.Marshal(offer)
	if err != nil {
		return fmt.Errorf("writing the offer: %w", err)
	}
	if err := o.send(message{kind: kindOffer, body: body}); err != nil {
		return err
	}
	_, err = o.await(kindAccept)
	return err
}

// Drain tells the new process to take only the listening sockets.
func (o *Old) Drain(why string) error { return o.send(message{kind: kindDrain, body: []byte(why)}) }

// Refuse tells the new process that it can't take over: it ends.
func (o *Old) Refuse(why error) { _ = o.send(message{kind: kindRefuse, body: reason(why)}) }

// Limit sets the time by which commit has to be sent, and everything before it.
func (o *Old) Limit(at time.Time) { o.limit = at }

// Section sends a section. The caller keeps the descriptors. It returns once the new process has taken all but the last few.
func (o *Old) Section(kind string, body []byte, files []int) error {
	if reserved(kind) {
		return fmt.Errorf("a section can't be called %q", kind)
	}
	if len(files) > 0 {
		if o.unacked == window {
			if _, err := o.await(kindAck); err != nil {
				return err
			}
			o.unacked--
		}
		o.unacked++
	}
	o.sections++
	o.files += uint32(len(files))
	return o.send(message{kind: kind, body: body, files: files})
}

// Finish says that these were all sections, and returns once the new process has everything it needs.
func (o *Old) Finish() error {
	body := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, o.sections), o.files)
	if err := o.send(message{kind: kindFinal, body: body}); err != nil {
		return err
	}
	for ; o.unacked > 0; o.unacked-- {
		if _, err := o.await(kindAck); err != nil {
			return err
		}
	}
	_, err := o.await(kindReady)
	return err
}

// Commit has the new process serve. After nil this process must not touch what it handed over; after an error it goes on.
//
// The message is a header alone, which the kernel takes, and the new process reads, as one piece or not at all.
func (o *Old) Commit() error {
	err := o.send(message{kind: kindCommit})
	o.limit = time.Time{}
	return err
}

// End says that no late section comes any more, and closes the socket.
func (o *Old) End() {
	for err := o.send(message{kind: kindEnd}); err == nil && o.unacked > 0; o.unacked-- {
		_, err = o.await(kindAck)
	}
	o.conn.close()
}

// Dismiss ends Await, with err, if it still waits: the new process serves, and has said nothing. Any goroutine.
func (o *Old) Dismiss(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.greeted {
		o.fail(err)
	}
}

// Fail ends the handover, from any goroutine: whatever waits, or is called later, returns err. After a Commit that returned nil it only
// closes the socket.
func (o *Old) Fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail(err)
}

// Ended is Fail for a new process that has ended with err. It returns why the handover fails: what that process said last counts more.
// Any goroutine.
func (o *Old) Ended(err error) error {
	select {
	case o.reading <- struct{}{}:
		o.lastWords()
		<-o.reading
	case <-time.After(o.words): // the goroutine that waits for an answer has not seen the end
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail(err)
	return o.cause
}

// fail is called with mu held.
func (o *Old) fail(err error) {
	if o.cause == nil {
		o.cause = err
	}
	o.conn.close()
}

func (o *Old) send(m message) error {
	err := o.conn.send(m, o.deadline())
	if gone(err) {
		o.reading <- struct{}{}
		o.lastWords()
		<-o.reading
	}
	return o.explain(err)
}

// lastWords receives what a new process that closes the socket has said before: a refusal becomes the cause. It is called with reading
// held.
func (o *Old) lastWords() {
	for {
		m, err := o.receive(time.Now().Add(o.words))
		if err != nil {
			return
		}
		m.closeFiles()
	}
}

// receive receives a message that is no refusal. It is called with reading held.
func (o *Old) receive(deadline time.Time) (message, error) {
	o.mu.Lock()
	from := o.conn
	o.mu.Unlock()
	m, err := from.receive(deadline)
	if err != nil || m.kind != kindRefuse {
		return m, err
	}
	m.closeFiles()
	err = refused(string(m.body))
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cause == nil {
		o.cause = err
	}
	return message{}, err
}

// await receives a message of a kind.
func (o *Old) await(kind string) (m message, err error) {
	o.reading <- struct{}{}
	m, err = o.receive(o.deadline())
	<-o.reading
	if err != nil {
		return m, o.explain(err)
	}
	m.closeFiles() // there are none
	if m.kind != kind {
		return m, fmt.Errorf("the new process says %q, not %q", m.kind, kind)
	}
	return m, nil
}

func (o *Old) deadline() time.Time {
	at := time.Now().Add(o.patience)
	if !o.limit.IsZero() && o.limit.Before(at) {
		return o.limit
	}
	return at
}

// explain says why a message could not be sent or received.
func (o *Old) explain(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err == nil:
		return nil
	case o.cause != nil:
		return o.cause
	case errors.Is(err, os.ErrDeadlineExceeded) && !o.limit.IsZero() && !time.Now().Before(o.limit):
		return fmt.Errorf("the handover takes too long: %w", err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSilent
	case gone(err):
		return fmt.Errorf("the new process has given up, or has ended: %w", err)
	}
	return err
}

// gone reports whether the other process has closed its end.
func gone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}
