// Package handover has the end-to-end tests of upgrades that hand the open connections to the new process: clients must not notice.
package handover

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"roost/cmd/roost/internal/roosttest"
)

// kind is what a member is.
type kind int

const (
	plain  kind = iota // ws://
	secure             // wss://
	stream             // server-sent events
	slow               // reads nothing until it is told to
	half               // has sent half of a frame
	kinds
)

// String is the kind for messages.
func (k kind) String() string { return [...]string{"plain", "secure", "stream", "slow", "half"}[k] }

// member is a client that counts what it gets. Notifications are numbered: each type has to come from 1 on, one after the other.
type member struct {
	kind kind
	user string
	conn net.Conn
	in   *bufio.Reader
	read chan struct{} // closed once it may read
	done chan struct{} // closed when nothing more can be read

	writing sync.Mutex

	mu    sync.Mutex // guards the rest
	last  map[string]int
	wrong []string
	pings int
	ended error
}

// numbered is a notification of the tests.
type numbered struct {
	Type    string `json:"type"`
	Payload struct {
		N   int    `json:"n"`
		Pad string `json:"pad,omitempty"`
	} `json:"payload"`
}

// join connects a member, whose token has the group.
func (s *stand) join(k kind, user, group string) (*member, error) {
	m := &member{kind: k, user: user, read: make(chan struct{}), done: make(chan struct{}), last: make(map[string]int)}
	dialer := net.Dialer{Timeout: roosttest.Limit, KeepAlive: -1}
	address := s.server.WS
	if k == secure {
		address = s.server.WSS
	}
	if k == slow {
		dialer.Control = func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
		}
	}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	m.conn = conn
	if k == secure {
		m.conn = tls.Client(conn, &tls.Config{RootCAs: s.authority.Roots(), ServerName: "localhost", MinVersion: tls.VersionTLS13})
	}
	m.in = bufio.NewReaderSize(m.conn, 1024)
	s.t.Cleanup(func() { _ = conn.Close(); m.mayRead(); <-m.done })
	if err := m.shake(roosttest.Sign(s.t, "HS256", roosttest.Secret, roosttest.Claims{
		"sub": user, "groups": []string{group}, "exp": time.Now().Add(time.Hour).Unix(),
	})); err != nil {
		close(m.done)
		return nil, fmt.Errorf("%s: %w", user, err)
	}
	go m.run()
	if k != slow {
		m.mayRead()
	}
	return m, nil
}

// shake sends the request and reads the head of the answer.
func (m *member) shake(token string) error {
	request := roosttest.Head(token)
	if m.kind == stream {
		request = "GET /sse?token=" + token + " HTTP/1.1\r\nHost: roost.example\r\n\r\n"
	}
	if _, err := io.WriteString(m.conn, request); err != nil {
		return err
	}
	response, err := http.ReadResponse(m.in, nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusSwitchingProtocols && (m.kind != stream || response.StatusCode != http.StatusOK) {
		return errors.New(response.Status)
	}
	return nil
}

// mayRead lets a slow member read. It may be called again.
func (m *member) mayRead() {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.read:
	default:
		close(m.read)
	}
}

// run reads until the end.
func (m *member) run() {
	defer close(m.done)
	<-m.read
	next := m.frame
	if m.kind == stream {
		next = m.event
	}
	for {
		text, err := next()
		if err != nil {
			m.mu.Lock()
			m.ended = err
			m.mu.Unlock()
			_ = m.conn.Close()
			return
		}
		if text != nil {
			m.note(text)
		}
	}
}

// frame reads a frame, and returns the text of a message; nil for others.
func (m *member) frame() (text []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(m.in, head[:]); err != nil {
		return nil, err
	}
	size := uint64(head[1])
	if extended := map[byte]int{126: 2, 127: 8}[head[1]]; extended > 0 {
		var wide [8]byte
		if _, err := io.ReadFull(m.in, wide[8-extended:]); err != nil {
			return nil, err
		}
		size = binary.BigEndian.Uint64(wide[:])
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(m.in, payload); err != nil {
		return nil, err
	}
	switch head[0] & 0xf {
	case 1:
		return payload, nil
	case 9:
		m.mu.Lock()
		m.pings++
		m.mu.Unlock()
		if m.kind == half {
			return nil, nil // a pong can't stand in the middle of a frame
		}
		_ = m.send(roosttest.ClientFrame(10, string(payload))) // what came behind the ping says why it failed
		return nil, nil
	case 8:
		return nil, fmt.Errorf("closed with %d %q", binary.BigEndian.Uint16(append(payload, 0, 0)), payload[min(2, len(payload)):])
	}
	return nil, fmt.Errorf("a frame of opcode %d", head[0]&0xf)
}

// event reads a line of an event stream, and returns the data of a message.
func (m *member) event() (text []byte, err error) {
	line, err := m.in.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	if data, is := strings.CutPrefix(string(line), "data: "); is && !strings.HasPrefix(data, "{\"code\"") {
		return []byte(strings.TrimSpace(data)), nil
	}
	if strings.HasPrefix(string(line), "event: ") && !strings.HasPrefix(string(line), "event: message") {
		return nil, fmt.Errorf("the event stream says %q", line)
	}
	return nil, nil
}

// note checks the number of a notification.
func (m *member) note(text []byte) {
	var n numbered
	err := json.Unmarshal(text, &n)
	m.mu.Lock()
	defer m.mu.Unlock()
	if n.Type == "pong" || n.Type == "_gap" {
		m.last[n.Type]++
		return
	}
	if err != nil || n.Payload.N != m.last[n.Type]+1 {
		m.wrong = append(m.wrong, fmt.Sprintf("after %s %d came %.60s (%v)", n.Type, m.last[n.Type], text, err))
	}
	m.last[n.Type] = n.Payload.N
}

// send writes bytes.
func (m *member) send(text string) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	_, err := io.WriteString(m.conn, text)
	return err
}

// got is the number of the last notification of a type.
func (m *member) got(name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last[name]
}

// problem is what is wrong with it; nil if nothing is.
func (m *member) problem() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case len(m.wrong) > 0:
		return fmt.Errorf("%s (%s): %d times, first %s", m.user, m.kind, len(m.wrong), m.wrong[0])
	case m.ended != nil:
		return fmt.Errorf("%s (%s): %w", m.user, m.kind, m.ended)
	}
	return nil
}

// check fails the test for each member, up to ten, that noticed anything.
func check(t *testing.T, members []*member) {
	t.Helper()
	failed := 0
	for _, m := range members {
		if err := m.problem(); err != nil {
			if failed++; failed <= 10 {
				t.Error(err)
			}
		}
	}
	if failed > 10 {
		t.Errorf("and %d more", failed-10)
	}
}
