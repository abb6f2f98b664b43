package tlshandshake

import (
	"bytes"
	"crypto/hmac"
	"crypto/tls"
	"errors"
	"fmt"
	"hash"
	"strconv"

	"roost/netpoll/internal/tlsrecord"
)

// The light way: crypto/tls gets the whole ClientHello and writes the server's flight. Then it reads, is told
// errPaused, and is let go of: it has computed everything by now, and what is left of the handshake is to compare
// the client's Finished with what it has to be (RFC 8446 section 4.4.4). So nothing of crypto/tls waits for the client, and a
// client that stalls between the flights costs finishBytes in place of parkedBytes.

var (
	errPaused = errors.New("tls: the flight is written")
	errOld    = errors.New("tls: the client does not speak TLS 1.3")
)

// finishBytes is about what a finish holds, with its two record layers.
const finishBytes = 700

// retry is what is kept when the server asked for another ClientHello: the handshake is done again with both, and has to
// come to the same HelloRetryRequest. No signature was made yet, and no key.
type retry struct {
	first int    // bytes of records of the first ClientHello
	sent  []byte // the HelloRetryRequest as it was sent
}

func (h *Handshake) runLight() (Status, error) {
	var keys secrets
	defer keys.wipe()
	config := h.server.config.Load().Clone()
	config.KeyLogWriter = &keys
	if config.MinVersion < tls.VersionTLS13 {
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			for _, version := range hello.SupportedVersions {
				if version == tls.VersionTLS13 {
					return nil, nil
				}
			}
			return nil, errOld
		}
	}
	hellos := h.scan.pos
	t := &transport{in: h.buf[:hellos:hellos], whole: true, empty: func() error { return errPaused }}
	conn := tls.Server(t, config)
	err := conn.Handshake()
	switch {
	case errors.Is(err, errOld):
		return h.park() // nothing of what it wrote was sent
	case errors.Is(err, errPaused) && keys.complete():
		return h.takeOver(conn.ConnectionState(), &keys, t.out)
	case errors.Is(err, errPaused) && h.retry == nil:
		h.retry = &retry{first: hellos, sent: t.out}
		h.out = append(h.out, t.out...)
		h.stage, h.scan = stageHello, scan{start: hellos, pos: hellos}
		return h.next()
	case err == nil || errors.Is(err, errPaused):
		return h.fail(tlsrecord.Violation(tlsrecord.AlertInternalError, "crypto/tls stopped where it never did"))
	}
	out := t.out
	if h.retry != nil {
		out = bytes.TrimPrefix(out, h.retry.sent)
	}
	h.out = append(h.out, out...)
	return h.failed(explain(err, out))
}

// takeOver makes the record layers from the secrets, after crypto/tls has written the flight.
func (h *Handshake) takeOver(state tls.ConnectionState, keys *secrets, flight []byte) (Status, error) {
	hellos := h.buf[:h.scan.pos]
	f, err := newFinish(state.CipherSuite, keys, h.retry, hellos, flight)
	if err != nil {
		return h.fail(tlsrecord.Violation(tlsrecord.AlertInternalError, err.Error()))
	}
	if h.retry != nil {
		flight = flight[len(h.retry.sent):]
	}
	f.result = resultOf(state)
	h.out = append(h.out, flight...)
	h.buf = bytes.Clone(h.buf[h.scan.pos:]) // the hello's memory is let go of
	h.finish, h.retry, h.stage = f, nil, stageFinish
	return h.next()
}

func resultOf(state tls.ConnectionState) Result {
	return Result{
		Version: state.Version, Suite: state.CipherSuite, Resumed: state.DidResume,
		Protocol: state.NegotiatedProtocol, ServerName: state.ServerName,
	}
}

// finish reads the client's last flight.
type finish struct {
	client  *tlsrecord.Conn // reads with the client's handshake key
	app     *tlsrecord.Conn // what the connection goes on with
	want    []byte          // the client's Finished
	got     []byte          // what came of it
	ignored int             // change_cipher_spec records
	result  Result
}

func (f *finish) wipe() {
	cache := tlsrecord.NewCache(0)
	f.client.Wipe(cache)
	if f.app != nil {
		f.app.Wipe(cache)
	}
}

// newFinish computes the client's Finished, and counts what was sent with the application key. It does so from the
// bytes of the handshake, and checks on the way that the server's own Finished, which crypto/tls made, agrees.
func newFinish(suite uint16, keys *secrets, again *retry, hellos, flight []byte) (*finish, error) {
	newHash, err := tlsrecord.Hash(suite)
	if err != nil {
		return nil, err
	}
	transcript := newHash()
	if again != nil {
		if !bytes.HasPrefix(flight, again.sent) {
			return nil, errors.New("another HelloRetryRequest than before")
		}
		flight = flight[len(again.sent):]
		// RFC 8446 section 4.4.1: the first ClientHello counts by its hash.
		first := newHash()
		first.Write(plainMessages(hellos[:again.first]))
		sum := first.Sum(nil)
		transcript.Write([]byte{messageHash, 0, 0, byte(len(sum))})
		transcript.Write(sum)
		transcript.Write(plainMessages(again.sent))
		hellos = hellos[again.first:]
	}
	transcript.Write(plainMessages(hellos))
	sent, err := readFlight(suite, keys, transcript, newHash, flight)
	if err != nil {
		return nil, err
	}
	want, err := finishedMessage(suite, keys.clientHandshake, transcript, newHash)
	if err != nil {
		return nil, err
	}
	f := &finish{want: want}
	if f.client, err = tlsrecord.NewReader(suite, keys.clientHandshake); err != nil {
		return nil, err
	}
	if f.app, err = tlsrecord.New(suite, keys.client, keys.server); err != nil {
		return nil, err
	}
	f.app.SkipSent(sent)
	return f, nil
}

// plainMessages is the content of the handshake records before there are keys.
func plainMessages(records []byte) (messages []byte) {
	for n := completeRecord(records); n > 0; n = completeRecord(records) {
		if records[0] == typeHandshake {
			messages = append(messages, records[headerLen:n]...)
		}
		records = records[n:]
	}
	return messages
}

// finishedMessage is Finished of the side with that secret (RFC 8446 section 4.4.4).
func finishedMessage(suite uint16, secret []byte, transcript hash.Hash, newHash func() hash.Hash) ([]byte, error) {
	key, err := tlsrecord.ExpandLabel(suite, secret, "finished", newHash().Size())
	if err != nil {
		return nil, err
	}
	mac := hmac.New(newHash, key)
	mac.Write(transcript.Sum(nil))
	message := []byte{messageFinished, 0, 0, byte(mac.Size())}
	clear(key)
	return mac.Sum(message), nil
}

// readFlight adds the server's flight to the transcript, up to its Finished, which it checks. It returns how many records
// came after it, under the application key: those of session tickets.
func readFlight(suite uint16, keys *secrets, transcript hash.Hash, newHash func() hash.Hash, flight []byte) (sent int, err error) {
	handshake, err := tlsrecord.NewReader(suite, keys.serverHandshake)
	if err != nil {
		return 0, err
	}
	app, err := tlsrecord.NewReader(suite, keys.server)
	if err != nil {
		return 0, err
	}
	cache := tlsrecord.NewCache(2)
	defer handshake.Wipe(cache)
	defer app.Wipe(cache)
	var messages []byte
	finished := false
	for n := completeRecord(flight); n > 0; n = completeRecord(flight) {
		record := bytes.Clone(flight[:n])
		flight = flight[n:]
		switch {
		case record[0] == typeChangeCipherSpec:
		case record[0] == typeHandshake:
			transcript.Write(record[headerLen:])
		case finished:
			if _, _, err := app.OpenRecord(record, cache); err != nil {
				return 0, fmt.Errorf("a record after the server's Finished: %w", err)
			}
			sent++
		default:
			_, content, err := handshake.OpenRecord(record, cache)
			if err != nil {
				return 0, fmt.Errorf("a record of the server's flight: %w", err)
			}
			messages = append(messages, content...)
			if finished, err = readMessages(suite, keys, transcript, newHash, &messages); err != nil {
				return 0, err
			}
		}
	}
	if !finished {
		return 0, errors.New("the server's flight has no Finished")
	}
	return sent, nil
}

// readMessages moves complete messages to the transcript, and reports whether Finished was among them.
func readMessages(suite uint16, keys *secrets, transcript hash.Hash, newHash func() hash.Hash, messages *[]byte) (bool, error) {
	for len(*messages) >= 4 {
		b := *messages
		n := 4 + int(b[1])<<16 + int(b[2])<<8 + int(b[3])
		if len(b) < n {
			return false, nil
		}
		if b[0] == messageFinished {
			want, err := finishedMessage(suite, keys.serverHandshake, transcript, newHash)
			if err != nil {
				return false, err
			}
			if !hmac.Equal(b, want) {
				return false, errors.New("the server's Finished is not what its transcript says")
			}
		}
		transcript.Write(b[:n])
		*messages = b[n:]
		if b[0] == messageFinished {
			return true, nil
		}
	}
	return false, nil
}

// maxIgnored is how many change_cipher_spec records may come with the client's Finished. Clients send one.
const maxIgnored = 4

// readFinished takes the client's last flight. It takes microseconds: a loop can do it.
func (h *Handshake) readFinished() (Status, error) {
	f := h.finish
	for {
		if len(h.buf) >= headerLen && int(h.buf[3])<<8+int(h.buf[4]) > 1<<14+256 {
			return h.failSealed(tlsrecord.Violation(tlsrecord.AlertRecordOverflow, "a record that is too long"))
		}
		n := completeRecord(h.buf)
		if n == 0 {
			return NeedInput, nil
		}
		record := h.buf[:n]
		h.buf = h.buf[n:]
		complete, err := f.take(record)
		if err != nil {
			return h.failSealed(err)
		}
		if complete {
			r := f.result
			r.Light = f.app
			f.app = nil
			f.wipe()
			return h.done(r)
		}
	}
}

// take takes a record, and reports whether Finished is complete with it.
func (f *finish) take(record []byte) (bool, error) {
	content := record[headerLen:]
	switch record[0] {
	case typeChangeCipherSpec:
		// RFC 8446 section 5: a single byte 1 is dropped until the client's Finished.
		if f.ignored++; f.ignored > maxIgnored || len(f.got) > 0 || len(content) != 1 || content[0] != 1 {
			return false, tlsrecord.Violation(tlsrecord.AlertUnexpectedMessage, "a change_cipher_spec that is not to be ignored")
		}
		return false, nil
	case typeAlert: // the client could not read the flight
		if len(content) == 2 {
			return false, &tlsrecord.Error{Alert: tlsrecord.Alert(content[1]), Remote: true}
		}
		return false, tlsrecord.Violation(tlsrecord.AlertDecodeError, "an alert of a wrong length")
	case typeApplicationData:
	default:
		return false, tlsrecord.Violation(tlsrecord.AlertUnexpectedMessage, "an unprotected record of type "+strconv.Itoa(int(record[0])))
	}
	typ, content, err := f.client.OpenRecord(record, tlsrecord.NewCache(0))
	switch {
	case err != nil:
		return false, err
	case typ == typeAlert && len(content) == 2:
		return false, &tlsrecord.Error{Alert: tlsrecord.Alert(content[1]), Remote: true}
	case typ != typeHandshake || len(content) == 0:
		return false, tlsrecord.Violation(tlsrecord.AlertUnexpectedMessage, "something else in place of the client's Finished")
	case len(f.got) == 0 && content[0] != messageFinished:
		return false, tlsrecord.Violation(tlsrecord.AlertUnexpectedMessage, "another message in place of the client's Finished")
	}
	if f.got = append(f.got, content...); len(f.got) < len(f.want) {
		return false, nil // RFC 8446 section 5.1: a message may come in several records
	}
	if len(f.got) > len(f.want) {
		return false, tlsrecord.Violation(tlsrecord.AlertUnexpectedMessage, "more than the client's Finished")
	}
	if !hmac.Equal(f.got, f.want) {
		return false, tlsrecord.Violation(tlsrecord.AlertDecryptError, "the client's Finished is wrong")
	}
	return true, nil
}

// failSealed ends the handshake with an alert under the application key, with which this side writes since its Finished.
func (h *Handshake) failSealed(err error) (Status, error) {
	var alert *tlsrecord.Error
	if errors.As(err, &alert) && !alert.Remote {
		h.out = h.finish.app.SealAlert(h.out, alert.Alert, tlsrecord.NewCache(0))
	}
	return h.failed(err)
}
