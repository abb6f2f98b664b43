package raw

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"roost/bench/roostbench/internal/wire"
)

// Conn is an upgraded connection. One goroutine may read while another writes.
type Conn struct {
	*net.TCPConn
	reader wire.Reader
	early  []byte // came with the server's answer
	buffer []byte
}

// Open connects and upgrades; see Dial for receive. It takes Patience at most.
func (t Target) Open(ctx context.Context, user string, receive int) (*Conn, error) {
	socket, err := t.Dial(ctx, receive)
	if err != nil {
		return nil, err
	}
	key := wire.NewKey()
	request := wire.AppendRequest(nil, t.Host(), t.Path, []byte(t.Token(user)), key)
	if err := socket.SetDeadline(time.Now().Add(t.Patience)); err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	if _, err := socket.Write(request); err != nil {
		return nil, errors.Join(fmt.Errorf("asking for an upgrade: %w", err), socket.Close())
	}
	c, _, err := Upgraded(socket, key)
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return c, socket.SetDeadline(time.Time{})
}

// errPong ends a reading at the pong.
var errPong = errors.New("the pong is here")

// mask hides nothing from anybody here.
const mask = 0x726f6f73

// AwaitPong reads until a pong with that payload comes. It answers the server's pings.
func (c *Conn) AwaitPong(payload []byte) error {
	for {
		err := c.Receive(func(m wire.Message) error {
			switch {
			case m.Op == wire.Ping:
				_, err := c.Write(wire.AppendFrame(nil, wire.Pong, m.Payload, mask))
				return err
			case m.Op == wire.Pong && bytes.Equal(m.Payload, payload):
				return errPong
			case m.Op == wire.Close:
				return fmt.Errorf("closed with %d %q", m.Code, m.Payload)
			}
			return nil
		})
		if errors.Is(err, errPong) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("waiting for a pong: %w", err)
		}
	}
}

// SetPiece bounds how many bytes Receive reads at once.
func (c *Conn) SetPiece(n int) {
	if cap(c.buffer) < n {
		c.buffer = make([]byte, n)
	}
	c.buffer = c.buffer[:n]
}

// Upgraded waits for the answer to a request that had key and offered
// sub-protocols. It returns what came of it also where that is a refusal (the error wraps wire.ErrRefused then), or
// nothing whole. The socket stays the caller's.
func Upgraded(socket *net.TCPConn, key wire.Key, offered ...string) (*Conn, []byte, error) {
	c := &Conn{TCPConn: socket, buffer: make([]byte, 4<<10)}
	var answer []byte
	for {
		n, err := socket.Read(c.buffer)
		answer = append(answer, c.buffer[:n]...)
		size, bad := wire.ReadAnswer(answer, key, offered...)
		switch {
		case bad != nil:
			return nil, answer, bad
		case size > 0:
			c.early = answer[size:]
			return c, answer[:size], nil
		case err != nil:
			return nil, answer, fmt.Errorf("waiting for an upgrade: %w", err)
		}
	}
}

// Receive waits for bytes and hands on the messages in them. Its error is the
// socket's (io.EOF at the end), or wraps wire.ErrFrame, or is handle's.
func (c *Conn) Receive(handle func(wire.Message) error) error {
	if len(c.early) > 0 {
		in := c.early
		c.early = nil
		return c.reader.Read(in, handle)
	}
	n, err := c.Read(c.buffer)
	if n > 0 {
		if bad := c.reader.Read(c.buffer[:n], handle); bad != nil {
			return bad
		}
	}
	return err
}
