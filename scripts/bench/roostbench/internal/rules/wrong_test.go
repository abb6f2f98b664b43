package rules

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"roost/bench/roostbench/internal/raw"
)

// wrongServer is a small WebSocket server that keeps the rules but for one.
type wrongServer struct {
	fault string // what it does wrong; empty: nothing
}

// start starts it, and returns where it is. It ends with the test, and all its
// connections with it.
func (s wrongServer) start(t *testing.T) raw.Target {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var open []net.Conn
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			all.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return raw.Target{Server: netip.MustParseAddrPort(l.Addr().String()), Path: "/ws", Secret: []byte("secret"), Patience: patience}
}

// patience is long enough for a busy machine: what is right comes long before.
const patience = time.Minute

// serve serves one connection and closes it as one should: its own side first,
// and then it reads what still comes.
func (s wrongServer) serve(conn net.Conn) {
	defer conn.Close()
	c := &wrongConn{wrongServer: s, Conn: conn, in: bufio.NewReader(conn)}
	if s.fault == "closes every connection" || !c.upgrade() {
		return
	}
	c.frames()
	if s.fault == "leaves TCP open" {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, _ = io.Copy(io.Discard, conn)
}

// wrongConn is one connection of a wrong server. One goroutine has it.
type wrongConn struct {
	wrongServer
	net.Conn
	in      *bufio.Reader
	message byte // opcode of the message that is open; 0: none
	text    []byte
}

// right says whether the server keeps a rule.
func (c *wrongConn) right(rule string) bool { return c.fault != rule }

// upgrade answers the request.
func (c *wrongConn) upgrade() bool {
	r, err := http.ReadRequest(c.in)
	if err != nil {
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		return false
	}
	if status := c.refusal(r); status != "" {
		_, _ = io.WriteString(c, "HTTP/1.1 "+status+"\r\n\r\n")
		return false
	}
	accept := "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" // sampleKey's
	if key := r.Header.Get("Sec-WebSocket-Key"); key != string(sampleKey[:]) {
		accept = acceptOf(key)
	}
	if !c.right("Sec-WebSocket-Accept") {
		accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOO="
	}
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + "\r\n"
	if !c.right("sub-protocol") {
		answer += "Sec-WebSocket-Protocol: chat\r\n"
	}
	if !c.right("extension") {
		answer += "Sec-WebSocket-Extensions: permessage-deflate\r\n"
	}
	_, _ = io.WriteString(c, answer+"\r\n")
	return true
}

// refusal is the status line's end for a request that is not right.
func (c *wrongConn) refusal(r *http.Request) string {
	key := r.Header.Get("Sec-WebSocket-Key")
	switch {
	case r.Method != http.MethodGet && c.right("method"):
		return "405 Method Not Allowed"
	case r.ProtoMinor == 0 && c.right("HTTP version"):
		return "505 HTTP Version Not Supported"
	case !strings.Contains(strings.ToLower(r.Header.Get("Upgrade")), "websocket") && c.right("Upgrade"),
		!strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade") && c.right("Connection"),
		len(key) != 24 && c.right("key"), r.Host == "" && c.right("Host"):
		return "400 Bad Request"
	case r.Header.Get("Sec-WebSocket-Version") != "13" && c.right("version"):
		if !c.right("version field") {
			return "426 Upgrade Required"
		}
		return "426 Upgrade Required\r\nSec-WebSocket-Version: 13"
	}
	return ""
}

// errEnd ends a connection; the close frame has been sent.
var errEnd = errors.New("the connection ends")

// frames takes frames until the connection ends.
func (c *wrongConn) frames() {
	if !c.right("reading") {
		_, _ = io.Copy(io.Discard, c.Conn)
	}
	for {
		f, err := c.read()
		if err == nil {
			err = c.take(f)
		}
		if err != nil {
			return
		}
	}
}

type wrongFrame struct {
	fin     bool
	op      byte
	payload []byte
}

// read reads a frame and checks its form.
func (c *wrongConn) read() (wrongFrame, error) {
	var b [8]byte
	if _, err := io.ReadFull(c.in, b[:2]); err != nil {
		return wrongFrame{}, err
	}
	f := wrongFrame{fin: b[0]&0x80 != 0, op: b[0] & 15}
	size, isMasked := uint64(b[1]&127), b[1]&0x80 != 0
	switch {
	case !isMasked && c.right("masking"),
		b[0]&0x70 != 0 && c.right("reserved bits"),
		slices.Contains([]byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15}, f.op) && c.right("opcodes"),
		f.op >= 8 && !f.fin && c.right("whole control frames"),
		f.op >= 8 && size > 125 && c.right("short control frames"):
		return f, c.fail(1002)
	}
	if size > 125 {
		wide, least := 2, uint64(126)
		if size == 127 {
			wide, least = 8, 1<<16
		}
		if _, err := io.ReadFull(c.in, b[8-wide:]); err != nil {
			return f, err
		}
		clear(b[:8-wide])
		size = binary.BigEndian.Uint64(b[:])
		if size < least && c.right("short lengths") || size > 1<<20 {
			return f, c.fail(1002)
		}
	}
	key := make([]byte, 4)
	if isMasked {
		if _, err := io.ReadFull(c.in, key); err != nil {
			return f, err
		}
	}
	f.payload = make([]byte, size)
	_, err := io.ReadFull(c.in, f.payload)
	for i := range f.payload {
		f.payload[i] ^= key[i%4]
	}
	return f, err
}

// take does what a frame asks for.
func (c *wrongConn) take(f wrongFrame) error {
	switch f.op {
	case closes:
		return c.close(f.payload)
	case ping:
		return c.pong(f.payload)
	case cont, text, binry:
		return c.data(f)
	}
	return nil
}

func (c *wrongConn) pong(payload []byte) error {
	switch {
	case !c.right("pongs") && string(payload) != question:
		return nil
	case !c.right("payload of pongs") && string(payload) != question:
		payload = bytes.ToUpper(payload)
	case !c.right("pongs once"):
		c.send(fin|pong, payload)
	}
	if !c.right("pongs that are not masked") {
		_, _ = io.WriteString(c, frame(fin|pong, string(payload)))
		return nil
	}
	c.send(fin|pong, payload)
	return nil
}

func (c *wrongConn) data(f wrongFrame) error {
	if (f.op == cont) != (c.message != 0) && c.right("order of fragments") {
		return c.fail(1002)
	}
	if f.op != cont {
		c.message, c.text = f.op, nil
	}
	c.text = append(c.text, f.payload...)
	if !f.fin {
		return nil
	}
	if c.message == text && !utf8.Valid(c.text) && c.right("UTF-8") {
		return c.fail(1007)
	}
	c.message = 0
	return nil
}

func (c *wrongConn) close(payload []byte) error {
	code := 1005
	if len(payload) >= 2 {
		code = int(binary.BigEndian.Uint16(payload))
	}
	bad := code < 1000 || code == 1004 || code == 1006 || code == 1005 && len(payload) > 0 || code >= 1015 && code < 3000 || code >= 5000
	switch {
	case len(payload) == 1 && c.right("close of one byte"), bad && len(payload) > 1 && c.right("close codes"):
		return c.fail(1002)
	case len(payload) > 2 && !utf8.Valid(payload[2:]) && c.right("reason"):
		return c.fail(1007)
	case !c.right("answering close"):
		return errEnd
	case !c.right("code of the answer"):
		return c.fail(1011)
	}
	c.send(fin|closes, payload[:min(len(payload), 2)])
	if !c.right("silence after close") {
		c.send(fin|ping, nil)
	}
	return errEnd
}

// fail closes.
func (c *wrongConn) fail(code uint16) error {
	c.send(fin|closes, binary.BigEndian.AppendUint16(nil, code))
	return errEnd
}

func (c *wrongConn) send(first byte, payload []byte) {
	_, _ = c.Write(append([]byte{first, byte(len(payload))}, payload...))
}
