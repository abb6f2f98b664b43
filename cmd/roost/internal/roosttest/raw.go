package roosttest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Raw is a TCP connection to the WebSocket port, without any protocol.
type Raw struct {
	*net.TCPConn
	t  testing.TB
	in *bufio.Reader
}

// Dial opens a TCP connection.
func (s *Server) Dial() *Raw { s.t.Helper(); return s.DialBuffered(0) }

// DialBuffered is Dial with a receive buffer of about so many bytes: a small one soon shows the server that nobody
// reads. 0 leaves it to the kernel.
func (s *Server) DialBuffered(receive int) *Raw {
	s.t.Helper()
	raw, err := s.TryDial(receive)
	if err != nil {
		s.t.Fatalf("dialing %s: %v", s.WS, err)
	}
	return raw
}

// DialFrom is Dial from an address of this machine, such as 127.0.0.2.
func (s *Server) DialFrom(address string) *Raw {
	s.t.Helper()
	raw, err := s.dial(net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}})
	if err != nil {
		s.t.Fatalf("dialing %s from %s: %v", s.WS, address, err)
	}
	return raw
}

// TryDial is DialBuffered that reports failure. Any goroutine.
func (s *Server) TryDial(receive int) (*Raw, error) {
	var dialer net.Dialer
	if receive > 0 {
		dialer.Control = func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) {
				_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receive)
			})
		}
	}
	return s.dial(dialer)
}

func (s *Server) dial(dialer net.Dialer) (*Raw, error) {
	dialer.Timeout, dialer.KeepAlive = Limit, -1
	dialer.SetMultipathTCP(false)
	conn, err := dialer.Dial("tcp", s.WS)
	if err != nil {
		return nil, err
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	raw := &Raw{TCPConn: conn.(*net.TCPConn), t: s.t}
	raw.in = bufio.NewReaderSize(raw, 512)
	return raw, nil
}

// Read implements io.Reader. Each read may take Limit: a test may do much between two of them.
func (r *Raw) Read(b []byte) (int, error) {
	_ = r.SetReadDeadline(time.Now().Add(Limit))
	return r.TCPConn.Read(b)
}

// Write implements io.Writer, within Limit.
func (r *Raw) Write(b []byte) (int, error) {
	_ = r.SetWriteDeadline(time.Now().Add(Limit))
	return r.TCPConn.Write(b)
}

// Head is the request of an ordinary WebSocket client. Lines are added to it; one that names a header which is there
// already replaces that, and one without a value takes it away.
func Head(token string, lines ...string) string {
	head := []string{
		"Host: roost.example",
		"Upgrade: websocket",
		"Connection: Upgrade",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
		"Sec-WebSocket-Version: 13",
	}
	for _, line := range lines {
		head = replaceLine(head, line)
	}
	target := "/ws"
	if token != "" {
		target += "?token=" + token
	}
	return "GET " + target + " HTTP/1.1\r\n" + strings.Join(head, "\r\n") + "\r\n\r\n"
}

func replaceLine(head []string, line string) []string {
	name, value, _ := strings.Cut(line, ":")
	var kept []string
	for _, old := range head {
		if oldName, _, _ := strings.Cut(old, ":"); !strings.EqualFold(oldName, name) {
			kept = append(kept, old)
		}
	}
	if value == "" {
		return kept
	}
	return append(kept, line)
}

// Send writes.
func (r *Raw) Send(text string) {
	r.t.Helper()
	if _, err := io.WriteString(r, text); err != nil {
		r.t.Fatalf("writing %d bytes: %v", len(text), err)
	}
}

// Answer is an HTTP answer, all of it.
type Answer struct {
	*http.Response
	Text string // the body
}

// Answer reads an HTTP answer to a method, and the end of the connection that has to follow, unless it is a 101.
func (r *Raw) Answer(method string) Answer {
	r.t.Helper()
	response, err := http.ReadResponse(r.in, &http.Request{Method: method})
	if err != nil {
		r.t.Fatalf("reading the answer: %v", err)
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		return Answer{Response: response}
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatalf("reading the body of the answer %s: %v", response.Status, err)
	}
	if err := r.End(); err != nil {
		r.t.Fatalf("after the answer %s: %v", response.Status, err)
	}
	return Answer{Response: response, Text: string(body)}
}

// Ask sends a request and reads its answer.
func (r *Raw) Ask(request string) Answer {
	r.t.Helper()
	r.Send(request)
	method, _, _ := strings.Cut(request, " ")
	return r.Answer(method)
}

// Answered waits for the first byte of an answer. It returns false if none comes: the server has closed without a word.
func (r *Raw) Answered() bool {
	_, err := r.in.Peek(1)
	return err == nil
}

// AskInTime asks a server whose WS_HANDSHAKE_TIMEOUT is short. If that is over before the first byte of the request comes, since the machine
// stood still, the server closes without a word, and another connection is tried. begun is when the one was opened that got the answer.
func (s *Server) AskInTime(request string) (answer Answer, begun time.Time) {
	s.t.Helper()
	method, _, _ := strings.Cut(request, " ")
	WaitFor(s.t, "an answer to a request that comes in time", func() bool {
		begun = time.Now()
		raw := s.Dial()
		_, _ = io.WriteString(raw, request) // fails where the time is over
		if !raw.Answered() {
			return false
		}
		answer = raw.Answer(method)
		return true
	})
	return answer, begun
}

// End reads on and returns nil if nothing comes and the server closes in order, with a FIN and not with a reset.
func (r *Raw) End() error {
	rest, err := io.ReadAll(r.in)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d bytes more: %q", len(rest), rest[:min(len(rest), 100)])
	}
	return nil
}

// ReadUntil reads what comes, up to a text in it, and returns all of it.
func (r *Raw) ReadUntil(text string) string {
	r.t.Helper()
	var all []byte
	for !bytes.HasSuffix(all, []byte(text)) {
		b, err := r.in.ReadByte()
		if err != nil {
			r.t.Fatalf("reading until %q: %v; got %q", text, err, all)
		}
		all = append(all, b)
	}
	return string(all)
}

// Upgrade does the handshake as a user. Any goroutine.
func (r *Raw) Upgrade(token string) error {
	if _, err := io.WriteString(r, Head(token)); err != nil {
		return err
	}
	response, err := http.ReadResponse(r.in, nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return errors.New(response.Status)
	}
	return nil
}

// MustUpgrade is Upgrade that has to succeed.
func (r *Raw) MustUpgrade(token string) {
	r.t.Helper()
	if err := r.Upgrade(token); err != nil {
		r.t.Fatalf("handshake: %v", err)
	}
}

// Frame reads the next WebSocket frame that is not a ping: the first of those comes at a random moment, and so at once to a
// few of many clients.
func (r *Raw) Frame() (opcode byte, payload []byte) {
	r.t.Helper()
	for {
		if opcode, payload = r.anyFrame(); opcode != 9 {
			return opcode, payload
		}
	}
}

// anyFrame reads a WebSocket frame of less than 64 KiB.
func (r *Raw) anyFrame() (opcode byte, payload []byte) {
	r.t.Helper()
	var head [4]byte
	if _, err := io.ReadFull(r.in, head[:2]); err != nil {
		r.t.Fatalf("reading a frame: %v", err)
	}
	size := int(head[1])
	if size == 126 {
		if _, err := io.ReadFull(r.in, head[2:]); err != nil {
			r.t.Fatalf("reading a frame: %v", err)
		}
		size = int(head[2])<<8 | int(head[3])
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(r.in, payload); err != nil {
		r.t.Fatalf("reading a frame of %d bytes: %v", size, err)
	}
	return head[0] & 0xf, payload
}

// ClientFrame builds a final frame as clients send it, masked, of less than 126 bytes.
func ClientFrame(opcode byte, payload string) string {
	mask := [4]byte{1, 2, 3, 4}
	var frame bytes.Buffer
	frame.Write([]byte{0x80 | opcode, 0x80 | byte(len(payload))})
	frame.Write(mask[:])
	for i := range len(payload) {
		frame.WriteByte(payload[i] ^ mask[i%4])
	}
	return frame.String()
}
