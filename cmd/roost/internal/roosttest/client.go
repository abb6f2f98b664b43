package roosttest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sys/unix"
)

// Client is a WebSocket client that records what it gets. Its own goroutine reads, so that it takes messages and
// answers pings all the time.
type Client struct {
	t    testing.TB
	conn *websocket.Conn
	done chan struct{} // closed when there is nothing more to read

	writing sync.Mutex // gorilla allows one writer at a time

	mu       sync.Mutex // guards the rest
	messages []string
	binary   int // messages that were not text
	pings    int
	pongs    []string
	err      error
}

// Dial says how a client differs from an ordinary one.
type Dial struct {
	Header http.Header
	Mute   bool // does not answer pings
	Room   int  // bytes of what the client has not read yet that its kernel takes at least, if it may; 0: what the kernel likes
}

// Connect opens a connection as a user.
func (s *Server) Connect(user string) *Client {
	s.t.Helper()
	return s.ConnectWith(Token(s.t, user), Dial{})
}

// ConnectWith opens a connection with a token.
func (s *Server) ConnectWith(token string, d Dial) *Client {
	s.t.Helper()
	var c *Client
	var err error
	// A token of a key pair is checked within three seconds, or its client told to come again, where a process stood still for as long.
	within(Limit, func() bool {
		begun := time.Now()
		c, err = s.TryConnect(token, d)
		return err == nil || time.Since(begun) < 2*time.Second || !strings.Contains(err.Error(), "(503 ")
	})
	if err != nil {
		s.t.Fatalf("connecting: %v", err)
	}
	return c
}

// TryConnect is ConnectWith that reports failure.
func (s *Server) TryConnect(token string, d Dial) (*Client, error) {
	dialer := websocket.Dialer{HandshakeTimeout: Limit}
	if d.Room > 0 {
		dialer.NetDialContext = (&net.Dialer{Control: Room(d.Room)}).DialContext
	}
	conn, response, err := dialer.Dial(s.URL(token), d.Header)
	if err != nil {
		status := "no answer"
		if response != nil {
			status = response.Status
		}
		return nil, fmt.Errorf("%w (%s)", err, status)
	}
	return record(s.t, conn, d), nil
}

// Room is for a net.Dialer's Control: the kernel takes so many bytes for a client that can't read for a while, since its machine is busy,
// so that the server does not take it for one that reads nothing. The kernel counts its own records too, and so gets four times as many.
// Without the right to have more, it may give less.
func Room(bytes int) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4*bytes) != nil {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4*bytes)
			}
		})
	}
}

// AnswerPings has a connection that a test reads itself answer pings. The library gives each answer a second, which may pass on a busy machine
// before a byte is written, and then fails the connection. That a ping can't be answered, because one side has closed by then, hides nothing
// that came behind it.
func AnswerPings(conn *websocket.Conn) {
	conn.SetPingHandler(func(payload string) error {
		_ = conn.WriteControl(websocket.PongMessage, []byte(payload), time.Now().Add(Limit))
		return nil
	})
}

// Record is a client on a connection that the test opened, through a proxy, say.
func Record(t testing.TB, conn *websocket.Conn) *Client { return record(t, conn, Dial{}) }

func record(t testing.TB, conn *websocket.Conn, d Dial) *Client {
	c := &Client{t: t, conn: conn, done: make(chan struct{})}
	c.handle(d)
	go c.read()
	t.Cleanup(c.Close)
	return c
}

func (c *Client) handle(d Dial) {
	c.conn.SetPingHandler(func(payload string) error {
		c.mu.Lock()
		c.pings++
		c.mu.Unlock()
		if !d.Mute {
			_ = c.control(websocket.PongMessage, []byte(payload)) // what came behind the ping says why it failed
		}
		return nil
	})
	c.conn.SetPongHandler(func(payload string) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.pongs = append(c.pongs, payload)
		return nil
	})
}

func (c *Client) control(kind int, payload []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.conn.WriteControl(kind, payload, time.Now().Add(Limit))
}

func (c *Client) read() {
	defer close(c.done)
	for {
		kind, message, err := c.conn.ReadMessage()
		c.mu.Lock()
		switch {
		case err != nil:
			c.err = err
		case kind != websocket.TextMessage:
			c.binary++
		default:
			c.messages = append(c.messages, string(message))
		}
		c.mu.Unlock()
		if err != nil {
			_ = c.conn.Close()
			return
		}
	}
}

// Send sends a text message.
func (c *Client) Send(text string) {
	c.t.Helper()
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatalf("sending: %v", err)
	}
}

// Ping sends a ping.
func (c *Client) Ping(payload string) {
	c.t.Helper()
	if err := c.control(websocket.PingMessage, []byte(payload)); err != nil {
		c.t.Fatalf("sending a ping: %v", err)
	}
}

// SendClose begins the closing handshake.
func (c *Client) SendClose(code int, reason string) {
	c.t.Helper()
	if err := c.control(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason)); err != nil {
		c.t.Fatalf("sending a close frame: %v", err)
	}
}

// Close closes the socket without a word and waits for the reader. It may be called again.
func (c *Client) Close() {
	_ = c.conn.Close()
	<-c.done
}

// Messages are the text messages so far.
func (c *Client) Messages() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.messages...)
}

// Pings counts the pings so far.
func (c *Client) Pings() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pings
}

// Pongs are the payloads of the pongs so far.
func (c *Client) Pongs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.pongs...)
}

// WaitMessages waits until n messages have come, and returns all that have.
func (c *Client) WaitMessages(n int) []string {
	c.t.Helper()
	if !within(Limit, func() bool { return c.count() >= n || c.Ended() }) || c.count() < n {
		c.t.Fatalf("got %d messages, want %d (the connection's end: %v)", c.count(), n, c.cause())
	}
	return c.Messages()
}

func (c *Client) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.messages) + c.binary
}

func (c *Client) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Ended says whether the connection has ended.
func (c *Client) Ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// WaitClose waits until the connection has ended, and returns the code and text of the server's close frame; 1006
// without one, as browsers say it.
func (c *Client) WaitClose() (code int, text string) {
	c.t.Helper()
	WaitFor(c.t, "the connection to end", c.Ended)
	var closed *websocket.CloseError
	if errors.As(c.cause(), &closed) {
		return closed.Code, closed.Text
	}
	return websocket.CloseAbnormalClosure, ""
}
