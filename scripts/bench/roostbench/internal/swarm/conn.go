package swarm

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/wire"
)

type state uint8

const (
	closed     state = iota
	connecting       // TCP's handshake
	asking           // the request is sent
	greeting         // it is answered, and the server has something to say before the connection counts as open
	open
	leaving // we sent a close frame
)

// conn is one connection. Its loop owns it. The slot is used again after close.
type conn struct {
	loop    *loop
	number  int // among all connections of the swarm
	user    int
	fd      int
	state   state
	stalled bool // reads nothing once it is open
	asked   bool // it was to be opened at least once
	key     wire.Key
	answer  []byte  // the beginning of an answer that came in pieces
	secure  *secure // nil without TLS
	reader  wire.Reader
	checker note.Checker
	id      string // the last position that Roost named, with Config.ComeBack
	opened  int64  // when connect was called
}

var (
	errEOF      = errors.New("the server closed the connection without a close frame")
	errFarewell = errors.New("the server sent a close frame")
)

// begin opens the socket and starts to connect.
func (c *conn) begin() error {
	c.key, c.answer, c.reader, c.secure = wire.NewKey(), nil, wire.Reader{}, nil
	if !c.loop.swarm.cfg.ComeBack {
		c.checker = note.Checker{}
	}
	c.opened = c.loop.swarm.clock.Now()
	fd, err := c.loop.dialer.dial(c.number)
	if err != nil {
		return err
	}
	c.fd, c.state = fd, connecting
	// Edge-triggered, so that one call is enough for the life of the connection.
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(c.number)}
	if err := unix.EpollCtl(c.loop.poll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// ready is called when epoll has something about the socket.
func (c *conn) ready(events uint32) error {
	if c.state == connecting {
		if events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
			return nil
		}
		return c.ask()
	}
	if c.stalled && c.state == open {
		if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			return errEOF
		}
		return nil
	}
	return c.read(events&unix.EPOLLRDHUP != 0)
}

// ask sends the request once TCP is connected.
func (c *conn) ask() error {
	if number, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || number != 0 {
		return fmt.Errorf("connect: %w", errors.Join(err, unix.Errno(number)))
	}
	c.state = asking
	if c.loop.tls != nil {
		c.secure = beginTLS(c.loop.tls)
		return c.writeRaw(c.secure.take())
	}
	return c.write(c.loop.request(c))
}

// takeSealed handles what came of a connection with TLS: the request follows its handshake.
func (c *conn) takeSealed(in []byte) error {
	shaking := !c.secure.done
	plain, err := c.secure.receive(in, c.loop.decrypted)
	if err == nil && shaking && c.secure.done {
		if c.secure.conn.ConnectionState().DidResume {
			c.loop.stats.Resumed.Add(1)
		}
		err = c.write(c.loop.request(c))
	}
	if out := c.secure.take(); err == nil && len(out) > 0 {
		err = c.writeRaw(out)
	}
	if len(plain) > 0 {
		err = errors.Join(c.take(plain), err)
	}
	return err
}

// write sends a little.
func (c *conn) write(buf []byte) error {
	if c.secure == nil {
		return c.writeRaw(buf)
	}
	sealed, err := c.secure.seal(buf)
	if err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	return c.writeRaw(sealed)
}

// writeRaw sends bytes as they are. That the kernel has no room for them is an error.
func (c *conn) writeRaw(buf []byte) error {
	if n, err := unix.Write(c.fd, buf); err != nil || n < len(buf) {
		return fmt.Errorf("write took %d of %d bytes: %w", n, len(buf), errors.Join(err))
	}
	return nil
}

// read takes all that has come, to the end of the stream if that has come.
func (c *conn) read(ending bool) error {
	buf := c.loop.buffer
	for {
		n, err := unix.Read(c.fd, buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("read: %w", err)
		case n == 0:
			return errEOF
		}
		take := c.take
		if c.secure != nil {
			take = c.takeSealed
		}
		if err := take(buf[:n]); err != nil {
			return err
		}
		// A short read means that nothing is left but perhaps the end; what comes
		// later is another edge.
		if (n < len(buf) && !ending) || (c.stalled && c.state == open) {
			return nil
		}
	}
}

// take handles what came.
func (c *conn) take(in []byte) error {
	c.loop.arrived = c.loop.swarm.clock.Now()
	if c.state == asking {
		var err error
		if in, err = c.takeAnswer(in); in == nil || err != nil {
			return err
		}
	}
	c.loop.reading = c
	return c.reader.Read(in, c.loop.handle)
}

// takeAnswer looks for the answer to the request. It returns what follows it, or
// nil while it is incomplete.
func (c *conn) takeAnswer(in []byte) ([]byte, error) {
	if c.answer != nil {
		in = append(c.answer, in...)
	}
	n, err := wire.ReadAnswer(in, c.key)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		c.answer = append([]byte(nil), in...)
		return nil, nil
	}
	c.answer, c.state = nil, greeting
	if !c.loop.swarm.cfg.Dialect.Greets {
		c.begun()
	}
	return in[n:], nil
}

// begun is called when the connection is open.
func (c *conn) begun() {
	c.state = open
	c.loop.opened(c)
}

// message handles one message or control frame.
func (c *conn) message(m wire.Message) error {
	switch m.Op {
	case wire.Ping:
		c.loop.stats.Pings.Add(1)
		return c.write(wire.AppendFrame(nil, wire.Pong, m.Payload, c.loop.random.Uint32()))
	case wire.Pong:
		return nil
	case wire.Close:
		return fmt.Errorf("%w: %d %s", errFarewell, m.Code, m.Payload)
	case wire.Text:
		if c.state == greeting {
			c.begun()
		}
		if c.loop.swarm.cfg.ComeBack {
			if err := c.keepID(m.Payload); err != nil {
				return err
			}
		}
		if c.loop.swarm.cfg.Dialect.Aside(m.Payload) {
			return nil
		}
		return c.notification(m.Payload)
	}
	return fmt.Errorf("%w: a binary message", note.ErrNoNote)
}

// errNotResumed is what a connection ends with that can't get what it has missed.
var errNotResumed = errors.New("the server does not resume")

// keepID keeps the id of a message. A hello that announces missed notifications is followed by theirs.
func (c *conn) keepID(message []byte) error {
	const before = `"id":"`
	at := bytes.LastIndex(message, []byte(before))
	hello := bytes.HasPrefix(message, []byte(`{"type":"_hello"`))
	switch {
	case at < 0 || hello && bytes.Contains(message, []byte(`"resumed":false`)):
		return fmt.Errorf("%w: %.100q", errNotResumed, message)
	case hello && bytes.Contains(message, []byte(`"resumed":`)):
		return nil
	}
	id, _, _ := bytes.Cut(message[at+len(before):], []byte{'"'})
	c.id = string(id)
	return nil
}

// notification checks a notification and notes how long it took.
func (c *conn) notification(payload []byte) error {
	n, err := note.Parse(payload)
	if err != nil && c.loop.swarm.cfg.Asides {
		return nil
	}
	if err != nil {
		return err
	}
	stats := c.loop.stats
	stats.Received.Add(1)
	if n.User != c.user {
		stats.WrongUser.Add(1)
		return fmt.Errorf("user %d got what is for user %d", c.user, n.User)
	}
	switch c.checker.See(n.Seq) {
	case note.Late:
		stats.Disorder.Add(1)
	case note.Duplicate:
		stats.Duplicates.Add(1)
	}
	c.loop.record(c.loop.arrived, n.At)
	return nil
}
